/** Federated login: a token of an identity provider for one of ours, and browser logins for dashboards. Public routes: the provider's token, or its code, is the credential. */
import { createHash } from 'node:crypto'
import type { Remote } from '../../../../durable-objects/kernel/rpc.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import { clientAddress } from '../../../http/client-address.ts'
import type { Context } from '../../../http/context.ts'
import { type Route, reply, route } from '../../../http/route.ts'
import { domainView } from '../../domains/views.ts'
import { flag, listView, param, partOf, realmOf, rootUrl } from '../../kernel/http.ts'
import { identityOptions } from '../../kernel/options.ts'
import { projectView } from '../../projects/views.ts'
import type { Issued } from '../../tokens/scope.ts'
import { tokenView } from '../../tokens/views.ts'
import { mapAssertion } from '../mappings/rules.ts'
import { type Claims, assertionOf } from './claims.ts'
import { type Verifier, exchangeCode, metadataOf, verifyBearer } from './oidc.ts'
import { handOver } from './page.ts'
import type { FederatedLogin, ProtocolFacts } from './store.ts'
import { WEBSSO_LIFE_MS } from './websso-store.ts'

const PROVIDER = 'identity_providers/:idp_id/protocols/:protocol_id'
const COOKIE = 'skyhook_websso'
const COOKIE_PATH = '/identity/v3/auth/OS-FEDERATION'
/** What names the issuer in an assertion where the protocol does not say. */
const REMOTE_ID = 'HTTP_OIDC_ISS'

const addressOf = (ctx: Context): string | null => clientAddress(ctx.env, ctx.request)
const doorOf = (ctx: Context): Remote<FederatedLogin> => partOf<FederatedLogin>(ctx, 'federation')

function verifierOf(ctx: Context, facts: ProtocolFacts): Verifier {
  const { env, now_ms, requestId } = ctx
  if (facts.oidc === null) throw new Fault('unavailable', `Protocol ${facts.protocol_id} of identity provider ${facts.idp_id} has no OpenID Connect configuration yet: see docs/federation.md.`)
  const log = env.SIM?.log ?? ((event: string, fields: Record<string, unknown>) => console.error(JSON.stringify({ event, ...fields })))
  return {
    env, now_ms, config: facts.oidc, client_secret: facts.client_secret, rules: identityOptions(env).federation,
    tell: (why) => log('federation.refused', { request_id: requestId, idp_id: facts.idp_id, protocol_id: facts.protocol_id, why }),
  }
}

/** Claims -> who that is here -> an unscoped token. */
async function enter(ctx: Context, door: Remote<FederatedLogin>, facts: ProtocolFacts, claims: Claims): Promise<Issued> {
  const assertion = assertionOf(claims)
  if (facts.remote_ids.length > 0) {
    const [issuer] = assertion.get(facts.remote_id_attribute || REMOTE_ID) ?? []
    if (issuer === undefined || !facts.remote_ids.includes(issuer)) throw new Fault('forbidden', 'Incoming identity provider identifier not included among the accepted identifiers.')
  }
  const mapped = mapAssertion(facts.rules, assertion)
  const { idp_id, protocol_id, mapping_id, schema_version } = facts
  return await door.enter({ idp_id, protocol_id, mapping_id, schema_version, mapped, request_id: ctx.requestId, address: addressOf(ctx) })
}

async function byBearer(ctx: Context): Promise<unknown> {
  const door = doorOf(ctx)
  const token = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(ctx.request.headers.get('authorization') ?? '')?.[1]
  if (token === undefined) throw new Fault('unauthorized', 'The request you have made requires authentication.')
  const facts = await door.facts(param(ctx, 'idp_id'), param(ctx, 'protocol_id'), addressOf(ctx))
  const issued = await enter(ctx, door, facts, await verifyBearer(verifierOf(ctx, facts), token))
  return reply({ status: 201, headers: { 'x-subject-token': issued.token, vary: 'X-Auth-Token' }, body: tokenView(issued.record, { origin: ctx.origin, catalog: !flag(ctx.url.searchParams, 'nocatalog') }) })
}

const callbackOf = (ctx: Context, facts: ProtocolFacts) => `${rootUrl(ctx)}/auth/OS-FEDERATION/identity_providers/${encodeURIComponent(facts.idp_id)}/protocols/${encodeURIComponent(facts.protocol_id)}/websso/callback`
const cookie = (ctx: Context, value: string, life_s: number) => `${COOKIE}=${value}; Path=${COOKIE_PATH}; Max-Age=${life_s}; HttpOnly; SameSite=Lax${ctx.origin.startsWith('https:') ? '; Secure' : ''}`

function dashboardOf(ctx: Context): string {
  const dashboard = ctx.url.searchParams.get('origin')
  if (dashboard === null || dashboard === '') throw new Fault('bad_request', 'Request must have an origin query parameter')
  if (!identityOptions(ctx.env).federation.trusted_dashboards.includes(dashboard)) throw new Fault('unauthorized', `${dashboard.slice(0, 200)} is not a trusted dashboard host.`)
  return dashboard
}

/** Sends the browser to the provider. */
async function begin(ctx: Context, idpId: string, door: Remote<FederatedLogin>): Promise<unknown> {
  const dashboard = dashboardOf(ctx)
  const facts = await door.facts(idpId, param(ctx, 'protocol_id'))
  const verifier = verifierOf(ctx, facts)
  const { authorization_endpoint } = await metadataOf(verifier)
  if (authorization_endpoint === undefined) throw new Fault('bad_gateway', `${verifier.config.issuer} has no authorization endpoint.`)
  const { login, sealed } = await door.websso.begin({ idp_id: idpId, protocol_id: facts.protocol_id, dashboard })
  const url = new URL(authorization_endpoint)
  const challenge = createHash('sha256').update(login.verifier).digest('base64url')
  const query = { response_type: 'code', client_id: verifier.config.client_id, redirect_uri: callbackOf(ctx, facts), scope: verifier.config.scope, state: login.state, nonce: login.nonce, code_challenge: challenge, code_challenge_method: 'S256' }
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  return reply({ status: 302, headers: { location: url.toString(), 'set-cookie': cookie(ctx, sealed, WEBSSO_LIFE_MS / 1000), 'cache-control': 'no-store' } })
}

async function beginAny(ctx: Context): Promise<unknown> {
  dashboardOf(ctx)
  const door = doorOf(ctx)
  const protocolId = param(ctx, 'protocol_id')
  const [only, ...others] = await door.providersOf(protocolId)
  if (only === undefined) throw new Fault('not_found', `No enabled identity provider has protocol ${protocolId}.`)
  if (others.length > 0) throw new Fault('bad_request', `Several identity providers have protocol ${protocolId}: name one, as /v3/auth/OS-FEDERATION/identity_providers/{idp}/protocols/${protocolId}/websso.`)
  return await begin(ctx, only, door)
}

function cookieOf(request: Request): string {
  for (const part of (request.headers.get('cookie') ?? '').split(/; */)) if (part.startsWith(`${COOKIE}=`)) return part.slice(COOKIE.length + 1)
  return ''
}

/** The browser comes back with a code. */
async function finish(ctx: Context): Promise<unknown> {
  const door = doorOf(ctx)
  const query = ctx.url.searchParams
  const login = await door.websso.finish(cookieOf(ctx.request), query.get('state') ?? '')
  if (login.idp_id !== param(ctx, 'idp_id') || login.protocol_id !== param(ctx, 'protocol_id')) throw new Fault('unauthorized', 'This login was begun with another identity provider.')
  const facts = await door.facts(login.idp_id, login.protocol_id, addressOf(ctx))
  const verifier = verifierOf(ctx, facts)
  // RFC 9207: an answer that names its issuer must name this one.
  const issuer = query.get('iss')
  if (issuer !== null && issuer !== verifier.config.issuer) throw new Fault('unauthorized', 'The answer is of another issuer.')
  const code = query.get('code')
  if (code === null) throw new Fault('unauthorized', `The identity provider did not log you in: ${(query.get('error') ?? 'it gave no code').replace(/[^\w .-]/g, '').slice(0, 100)}.`)
  const claims = await exchangeCode(verifier, code, { verifier: login.verifier, nonce: login.nonce, redirect_uri: callbackOf(ctx, facts) })
  const issued = await enter(ctx, door, facts, claims)
  const page = handOver(login.dashboard, issued.token)
  return reply({ status: 200, headers: { ...page.headers, 'set-cookie': cookie(ctx, '', 0) }, body: page.html })
}

const beginNamed = async (ctx: Context) => await begin(ctx, param(ctx, 'idp_id'), doorOf(ctx))
const METHODS = ['GET', 'POST'] as const

export const federatedLoginRoutes: Route[] = [
  ...METHODS.flatMap((method) => [
    route({ method, path: `/v3/OS-FEDERATION/${PROVIDER}/auth`, policy: 'public', handle: byBearer }),
    route({ method, path: '/v3/auth/OS-FEDERATION/websso/:protocol_id', policy: 'public', handle: beginAny }),
    route({ method, path: `/v3/auth/OS-FEDERATION/${PROVIDER}/websso`, policy: 'public', handle: beginNamed }),
  ]),
  route({ method: 'GET', path: `/v3/auth/OS-FEDERATION/${PROVIDER}/websso/callback`, policy: 'public', handle: finish }),
  route({ method: 'GET', path: '/v3/OS-FEDERATION/projects', policy: 'token', handle: async (ctx) => listView(ctx, 'projects', (await realmOf(ctx).tokens.myProjects()).map((row) => projectView(row, rootUrl(ctx)))) }),
  route({ method: 'GET', path: '/v3/OS-FEDERATION/domains', policy: 'token', handle: async (ctx) => listView(ctx, 'domains', (await realmOf(ctx).tokens.myDomains()).map((row) => domainView(row, rootUrl(ctx)))) }),
]
