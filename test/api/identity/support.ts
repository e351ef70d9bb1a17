/** A cloud in this process with its real Identity: log in with passwords, as users do. Hashing is cheap here, so that tests are. */
import type { Clock } from '../../../schema/values/time.ts'
import { type Answer, CLASSES, callWorker } from '../../support/cloud.ts'
import { Cluster, type ClusterOptions } from '../../support/platform/cluster.ts'
import type { Env } from '../../../durable-objects/kernel/env.ts'

export const ADMIN_PASSWORD = 'admin-password-of-this-test'

export interface IdentityCloud {
  cluster: Cluster
  env: Env
  call(method: string, path: string, options?: { token?: string; json?: unknown; body?: BodyInit; headers?: Record<string, string> }): Promise<Answer>
  /** Logs in; the answer of POST /v3/auth/tokens with its token. */
  login(identity: LoginRequest): Promise<Answer & { token: string }>
  /** The bootstrap admin, scoped to its project. */
  admin(): Promise<string>
  /** A user with a role on a new project, and a token of it. */
  tenant(name: string, role?: string | null): Promise<Tenant>
  close(): void
}

export interface Tenant {
  user_id: string
  project_id: string
  password: string
  token: string
}

export interface LoginRequest {
  user?: string
  user_id?: string
  password?: string
  token?: string
  project?: string
  project_id?: string
  domain_id?: string
  system?: boolean
  unscoped?: boolean
}

export function authBody({ user, user_id, password, token, project, project_id, domain_id, system, unscoped }: LoginRequest) {
  const domain = { id: 'default' }
  const who = user_id === undefined ? { name: user ?? 'admin', domain } : { id: user_id }
  const identity = token === undefined ? { methods: ['password'], password: { user: { ...who, password: password ?? ADMIN_PASSWORD } } } : { methods: ['token'], token: { id: token } }
  const scope = unscoped ? 'unscoped' : system ? { system: { all: true } } : domain_id !== undefined ? { domain: { id: domain_id } } : project_id !== undefined ? { project: { id: project_id } } : project !== undefined ? { project: { name: project, domain } } : undefined
  return { auth: { identity, ...(scope === undefined ? {} : { scope }) } }
}

export function identityCloud(options: Partial<ClusterOptions> & { clock?: Clock; identity?: Record<string, unknown> } = {}): IdentityCloud {
  const { identity, ...rest } = options
  // As on one machine: Worker and objects are in one process, which knows itself by a name.
  const vars = { NEAR: crypto.randomUUID(), BOOTSTRAP_ADMIN_PASSWORD: ADMIN_PASSWORD, OPTIONS: JSON.stringify({ identity: { scrypt: { ln: 4, r: 8, p: 1 }, ...identity } }), ...options.vars }
  const cluster = new Cluster({ ...rest, vars, classes: { ...CLASSES, ...options.classes } })
  const env = cluster.env as unknown as Env
  const cloud: IdentityCloud = {
    cluster,
    env,
    call: (method, path, given = {}) => callWorker(env, method, path, given),
    login: async (request) => {
      const answer = await callWorker(env, 'POST', '/identity/v3/auth/tokens', { json: authBody(request) })
      return { ...answer, token: answer.headers.get('x-subject-token') ?? '' }
    },
    admin: async () => (await cloud.login({ project: 'admin' })).token,
    tenant: async (name, role = 'member') => {
      const token = await cloud.admin()
      const make = async (path: string, json: unknown) => (await cloud.call('POST', `/identity/v3/${path}`, { token, json })).body
      const { project } = await make('projects', { project: { name, domain_id: 'default' } })
      const password = `password of ${name}`
      const { user } = await make('users', { user: { name, domain_id: 'default', password } })
      if (role !== null) {
        const { body } = await cloud.call('GET', `/identity/v3/roles?name=${role}`, { token })
        await cloud.call('PUT', `/identity/v3/projects/${project.id}/users/${user.id}/roles/${body.roles[0].id}`, { token })
      }
      const session = await cloud.login({ user_id: user.id, password, ...(role === null ? {} : { project_id: project.id }) })
      return { user_id: user.id, project_id: project.id, password, token: session.token }
    },
    close: () => cluster.close(),
  }
  return cloud
}
