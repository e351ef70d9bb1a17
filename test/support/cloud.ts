/**
 * A cloud in this process for API tests: the real Worker and objects over test/support/platform. `mintedCloud` replaces Identity by a key pair, so that a test of
 * another service can be any caller at once; tests of whole flows use the shipped workerd instead (test/support/shipped.ts).
 */
import * as bundle from '../../workers/index.ts'
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { type PublicKey, signToken } from '../../schema/values/token.ts'
import { Cluster, type ClusterOptions } from './platform/cluster.ts'
import { SkyObject } from '../../durable-objects/kernel/object.ts'

const ROLES = ['admin', 'manager', 'member', 'reader']
export const ORIGIN = 'http://cloud.test'

export interface Answer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: bodies are what the test asserts.
  body: any
  text: string
}

export interface TestCloud {
  cluster: Cluster
  env: Env
  /** A token of that caller. Roles are expanded (admin implies manager, member, reader). */
  token(caller?: Partial<Caller> & { role?: 'admin' | 'manager' | 'member' | 'reader' | 'none' }): Promise<string>
  call(method: string, path: string, options?: { token?: string; json?: unknown; body?: BodyInit; headers?: Record<string, string> }): Promise<Answer>
  close(): void
}

export const CLASSES = {
  IDENTITY: bundle.IdentityObject, PROJECT: bundle.ProjectObject, REGION: bundle.RegionObject, HOST: bundle.HostObject, RING: bundle.RingObject, ACCOUNT: bundle.AccountObject, CONTAINER: bundle.ContainerObject,
}

export async function mintedCloud(options: Partial<ClusterOptions> = {}): Promise<TestCloud> {
  const pair = (await crypto.subtle.generateKey({ name: 'Ed25519' }, true, ['sign', 'verify'])) as CryptoKeyPair
  const jwk = (await crypto.subtle.exportKey('jwk', pair.publicKey)) as { x: string }
  const keys: PublicKey[] = [{ kid: 'test', x: jwk.x }]
  class MintedIdentity extends SkyObject {
    constructor(state: DurableObjectState, env: Env) {
      super(state, env, [], {})
    }
    publicKeys() {
      return keys
    }
    accessRules() {
      return []
    }
    revocations() {
      return { events: [], cursor: 0 }
    }
  }
  const cluster = new Cluster({ ...options, classes: { ...CLASSES, IDENTITY: MintedIdentity as never, ...options.classes } })
  const env = cluster.env as unknown as Env
  let serial = 0
  const clock = options.clock
  return {
    cluster,
    env,
    token: async ({ role = 'member', ...given } = {}) => {
      const now = clock?.now_ms() ?? Date.now()
      const caller: Caller = {
        user_id: 'user-a', user_name: 'user-a', user_domain_id: 'default', project_id: 'project-a', project_name: 'project-a', project_domain_id: 'default', domain_id: null, system: false,
        roles: role === 'none' ? [] : ROLES.slice(ROLES.indexOf(role)), audit_ids: [`audit-${serial++}`], methods: ['password'], issued_ms: now, expires_ms: now + 3_600_000, request_id: '', ...given,
      }
      return await signToken(caller, 'test', pair.privateKey)
    },
    call: (method, path, { token, json, body, headers } = {}) => callWorker(env, method, path, { token, json, body, headers }),
    close: () => cluster.close(),
  }
}

export async function callWorker(env: Env, method: string, path: string, options: { token?: string; json?: unknown; body?: BodyInit; headers?: Record<string, string> }): Promise<Answer> {
  const headers = new Headers(options.headers)
  if (options.token !== undefined) headers.set('x-auth-token', options.token)
  if (options.json !== undefined) headers.set('content-type', 'application/json')
  const body = options.json !== undefined ? JSON.stringify(options.json) : options.body
  const request = new Request(`${ORIGIN}${path}`, { method, headers, body, ...(body instanceof ReadableStream ? { duplex: 'half' } : {}) } as RequestInit)
  const response = await bundle.default.fetch(request as never, env, { waitUntil: () => {} })
  const text = await response.text()
  let parsed: unknown
  try {
    parsed = text === '' ? undefined : JSON.parse(text)
  } catch {
    parsed = text
  }
  return { status: response.status, headers: response.headers as never, body: parsed, text }
}
