/** /v3/ec2tokens and /v3/s3tokens: a service shows a signed request and learns who signed it. For services alone (S16): a signature leaks in every presigned URL. */
import * as v from 'valibot'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { realmOf } from '../kernel/http.ts'
import { tokenView } from '../tokens/views.ts'

const text = v.pipe(v.string('must be a string'), v.maxLength(65_536))
const PARAMS_MAX = 1_000
const words = v.pipe(v.record(v.string(), v.union([text, v.pipe(v.union([v.number(), v.boolean()]), v.transform(String))])), v.check((all) => Object.keys(all).length <= PARAMS_MAX, `must have at most ${PARAMS_MAX} entries`))
/** Upstream takes three names for the same thing. */
const wrappedAs = <S extends v.GenericSchema>(credentials: S) =>
  v.pipe(v.looseObject({ credentials: v.optional(credentials), credential: v.optional(credentials), ec2Credentials: v.optional(credentials) }), v.check((body) => Object.keys(body).length > 0, 'request must include a request body'))
/** Without one of them nothing was signed: a 401, as upstream answers. */
const named = { access: v.optional(text), signature: v.optional(text) }

const ec2Body = wrappedAs(v.looseObject({ ...named, host: v.optional(text, ''), verb: v.optional(text, 'GET'), path: v.optional(text, '/'), params: v.optional(words, {}), headers: v.optional(words, {}), body_hash: v.optional(text, '') }))
const s3Body = wrappedAs(v.looseObject({ ...named, token: v.optional(text, '') }))

type Signed<T> = T & { access: string; signature: string }

function given<T extends { access?: string; signature?: string }>(body: { credentials?: T; credential?: T; ec2Credentials?: T }): Signed<T> {
  const found = body.credentials ?? body.credential ?? body.ec2Credentials
  if (found?.access === undefined || found.signature === undefined) throw new Fault('unauthorized', 'EC2 Signature not supplied')
  return found as Signed<T>
}

const view = (ctx: Context, record: Parameters<typeof tokenView>[0]) => tokenView(record, { origin: ctx.origin, catalog: true })

export const ec2Routes: Route[] = [
  route({
    method: 'POST', path: '/v3/ec2tokens', policy: 'identity:ec2tokens_validate', body: ec2Body,
    handle: async (ctx) => {
      const { access, signature, host, verb, path, params, headers, body_hash } = given(ctx.body)
      const { token, record } = await realmOf(ctx).signedRequests.ec2Token({ access, signature, host, verb, path, params, headers, body_hash }, ctx.requestId)
      return reply({ headers: { 'x-subject-token': token }, body: view(ctx, record) })
    },
  }),
  route({
    method: 'POST', path: '/v3/s3tokens', policy: 'identity:s3tokens_validate', body: s3Body,
    handle: async (ctx) => {
      const { access, signature, token } = given(ctx.body)
      return view(ctx, await realmOf(ctx).signedRequests.s3Token({ access, signature, token }, ctx.requestId))
    },
  }),
]

export const ec2Policies: PolicyRule[] = [
  { name: 'identity:ec2tokens_validate', check: 'role:service', operations: ['POST /v3/ec2tokens'] },
  { name: 'identity:s3tokens_validate', check: 'role:service', operations: ['POST /v3/s3tokens'] },
]
