/**
 * /v3/OS-OAUTH2/token: client credentials (RFC 6749, section 4.4). The client is an application credential, the access token an ordinary token, which
 * services take as `Authorization: Bearer` too (workers/http/auth.ts).
 */
import { isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { authenticateAndIssue } from '../tokens/authenticate.ts'
import { clientOf } from './client.ts'
import { type OAuth2Error, oauth2Error, ofFault } from './errors.ts'

const FORM_BYTES_MAX = 16 * 1024
const PATH = '/v3/OS-OAUTH2/token'

/** Answers of this endpoint must be kept by no cache (RFC 6749, section 5.1). */
const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' }
const refuse = (ctx: Context, { status, body }: OAuth2Error) => reply({ status, body, headers: { ...NO_STORE, ...(status === 401 ? { 'www-authenticate': `Keystone uri="${ctx.origin}/identity/v3"` } : {}) } })

/** The form's text, or null where it is longer than any form of this endpoint. */
async function form(ctx: Context): Promise<URLSearchParams | null> {
  if (Number(ctx.request.headers.get('content-length') ?? 0) > FORM_BYTES_MAX) return null
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of ctx.request.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    if (text.length > FORM_BYTES_MAX) return null
  }
  return new URLSearchParams(text)
}

async function token(ctx: Context): Promise<unknown> {
  const client = clientOf(ctx.request.headers.get('authorization'))
  if (client === 'none') return refuse(ctx, oauth2Error(401, 'invalid_client', 'OAuth2.0 client authorization is required.'))
  if (client === 'broken') return refuse(ctx, oauth2Error(401, 'invalid_client', 'OAuth2.0 client authorization is invalid.'))
  const given = await form(ctx)
  if (given === null) return refuse(ctx, oauth2Error(400, 'invalid_request', 'The form is too long.'))
  const grant = given.get('grant_type')
  if (grant === null) return refuse(ctx, oauth2Error(400, 'invalid_request', 'The parameter grant_type is required.'))
  if (grant !== 'client_credentials') return refuse(ctx, oauth2Error(400, 'unsupported_grant_type', `The parameter grant_type ${grant} is not supported.`))
  try {
    const { token: access_token, expires_ms, issued_ms } = await authenticateAndIssue(ctx, { identity: { methods: ['application_credential'], application_credential: client } }, false)
    return reply({ status: 200, headers: NO_STORE, body: { access_token, token_type: 'Bearer', expires_in: Math.floor((expires_ms - issued_ms) / 1000) } })
  } catch (error) {
    if (isFault(error)) return refuse(ctx, ofFault(error))
    throw error
  }
}

export const oauth2Routes: Route[] = [
  route({ method: 'POST', path: PATH, policy: 'public', body: 'stream', handle: token }),
  ...(['GET', 'PUT', 'PATCH', 'DELETE'] as const).map((method) =>
    route({ method, path: PATH, policy: 'public', body: 'stream', handle: (ctx) => refuse(ctx, oauth2Error(405, 'other_error', 'The method is not allowed for the requested URL.')) })),
]
