/**
 * A real OpenID Connect provider (npm oidc-provider) on loopback, for federation tests: code flow with its own login page, client credentials, passwords, introspection, userinfo. Its keys can be
 * replaced while it runs, and the private ones are at hand, so that tests can forge what a thief or a liar would.
 */
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type GenerateKeyPairResult, exportJWK, generateKeyPair } from 'jose'
import Provider, { type TokenContext, errors } from 'oidc-provider'

export const CLIENT = { id: 'skyhook', secret: 'a-secret-of-the-client-0123456789' }
/** A client of the same provider that is not ours. */
export const OTHER = { id: 'other', secret: 'a-secret-of-another-0123456789' }
/** What access tokens are for. */
export const AUDIENCE = 'urn:skyhook'

export interface Account {
  password: string
  claims: Record<string, unknown>
}

export interface RunningProvider {
  issuer: string
  accounts: Map<string, Account>
  /** How often which path was asked. */
  asked: Map<string, number>
  key: GenerateKeyPairResult
  kid: string
  /** New keys from now on; the old ones are published no longer. */
  rotate(): Promise<void>
  /** grant_type=client_credentials or password at the token endpoint. */
  grant(fields: Record<string, string>, client?: typeof CLIENT): Promise<{ access_token: string; id_token?: string }>
  close(): Promise<void>
}

const CLAIMS = ['name', 'email', 'email_verified', 'groups', 'department', 'preferred_username']

async function byPassword(ctx: TokenContext, accounts: Map<string, Account>): Promise<void> {
  const { params, client, provider } = ctx.oidc
  const account = accounts.get(params.username ?? '')
  if (account === undefined || account.password !== params.password) throw new errors.InvalidGrant('wrong user or password')
  const accountId = params.username ?? ''
  const grant = new provider.Grant({ accountId, clientId: client.clientId })
  grant.addOIDCScope('openid profile email')
  grant.addResourceScope(AUDIENCE, 'api')
  const grantId = await grant.save()
  const token = new provider.AccessToken({ accountId, client, grantId, gty: 'password', scope: 'openid profile email api' })
  token.resourceServer = new provider.ResourceServer(AUDIENCE, resourceServer())
  const id = new provider.IdToken({ sub: accountId, ...account.claims }, { ctx })
  id.scope = 'openid profile email'
  ctx.body = { access_token: await token.save(), token_type: 'Bearer', expires_in: 3600, id_token: await id.issue({ use: 'idtoken' }) }
}

const resourceServer = () => ({ audience: AUDIENCE, scope: 'api openid profile email', accessTokenFormat: 'jwt', accessTokenTTL: 3600, jwt: { sign: { alg: 'RS256' } } })

function configuration(jwk: Record<string, unknown>, accounts: Map<string, Account>, redirects: string[]): Record<string, unknown> {
  const grants = { grant_types: ['authorization_code', 'client_credentials', 'password'], response_types: ['code'], redirect_uris: redirects }
  return {
    jwks: { keys: [jwk] },
    clients: [{ client_id: CLIENT.id, client_secret: CLIENT.secret, ...grants }, { client_id: OTHER.id, client_secret: OTHER.secret, ...grants }],
    claims: { openid: ['sub'], profile: CLAIMS.filter((name) => !name.startsWith('email')), email: ['email', 'email_verified'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['a key for cookies of a test'] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post'],
    findAccount: (_: unknown, sub: string) => (accounts.has(sub) ? { accountId: sub, claims: () => ({ sub, ...accounts.get(sub)?.claims }) } : undefined),
    extraTokenClaims: (_: unknown, token: { accountId?: string; clientId?: string }) => accounts.get(token.accountId ?? token.clientId ?? '')?.claims,
    // Nobody is asked for consent: only the login page is of interest.
    loadExistingGrant: async ({ oidc }: TokenContext) => {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session?.accountId })
      grant.addOIDCScope('openid profile email')
      await grant.save()
      return grant
    },
    features: {
      devInteractions: { enabled: true }, clientCredentials: { enabled: true }, introspection: { enabled: true, allowedPolicy: () => true }, userinfo: { enabled: true },
      resourceIndicators: {
        enabled: true, getResourceServerInfo: resourceServer, useGrantedResource: () => false,
        // Access tokens of machines are JWTs for us; those of browsers are opaque, for userinfo.
        defaultResource: (ctx: TokenContext) => (ctx.oidc.params?.grant_type === 'client_credentials' && ctx.oidc.client.clientId === CLIENT.id && ctx.oidc.params.scope !== 'opaque' ? AUDIENCE : undefined),
      },
    },
    scopes: ['openid', 'profile', 'email', 'opaque'],
    pkce: { required: () => true },
    ttl: { AccessToken: 3600, ClientCredentials: 3600, IdToken: 3600, Grant: 3600, Interaction: 600, Session: 3600 },
  }
}

export async function runProvider(options: { redirects?: string[]; port?: number; tls?: { key: string; cert: string }; host?: string } = {}): Promise<RunningProvider> {
  const accounts = new Map<string, Account>()
  const asked = new Map<string, number>()
  let handle: ReturnType<Provider['callback']> = () => {}
  const answer: Parameters<typeof createServer>[1] = (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    asked.set(path, (asked.get(path) ?? 0) + 1)
    handle(request, response)
  }
  const server = options.tls === undefined ? createServer(answer) : createTlsServer(options.tls, answer)
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const issuer = `${options.tls === undefined ? 'http' : 'https'}://${options.host ?? '127.0.0.1'}:${(server.address() as { port: number }).port}`
  let serial = 0
  const running: RunningProvider = {
    issuer, accounts, asked, key: undefined as never, kid: '',
    rotate: async () => {
      running.key = await generateKeyPair('RS256', { extractable: true })
      running.kid = `key-${++serial}`
      const jwk = { ...(await exportJWK(running.key.privateKey)), kid: running.kid, use: 'sig', alg: 'RS256' }
      const provider = new Provider(issuer, configuration(jwk, accounts, options.redirects ?? ['http://cloud.test/callback']))
      provider.registerGrantType('password', (ctx) => byPassword(ctx, accounts), ['username', 'password'])
      handle = provider.callback()
    },
    grant: async (fields, client = CLIENT) => {
      const headers = { authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`, 'content-type': 'application/x-www-form-urlencoded' }
      const answer = await fetch(`${issuer}/token`, { method: 'POST', headers, body: new URLSearchParams(fields) })
      const body = (await answer.json()) as { access_token: string; id_token?: string }
      if (answer.status !== 200) throw new Error(`token endpoint: ${answer.status} ${JSON.stringify(body)}`)
      return body
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
  await running.rotate()
  return running
}
