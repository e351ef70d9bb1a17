/** What a handler is given: the parsed request, the caller, and sessions on the objects it may talk to. Opened on first use. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import { REGION_OBJECT_NAME } from '../../durable-objects/kernel/env.ts'
import { type Remote, sessionOn } from '../../durable-objects/kernel/rpc.ts'
import type { ProjectSession } from '../../durable-objects/project/session.ts'
import type { RegionSession } from '../../durable-objects/region/session.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { tagOf } from '../../schema/values/ids.ts'
import { isFault } from '../../schema/values/fault.ts'
import type { RequestUrl } from './address.ts'
import { type Policy, type Target, policyFault } from './policy.ts'
import { unauthorized } from './auth.ts'
import type { Version } from './microversion.ts'

export interface RequestParts {
  request: Request
  env: Env
  url: RequestUrl
  /** Raw (still percent-encoded) path parameters. */
  params: Record<string, string>
  requestId: string
  version: Version
  policy: Policy
  now_ms: number
  waitUntil(work: Promise<unknown>): void
}

// biome-ignore lint/suspicious/noExplicitAny: the route's schema types the body; handlers of actions narrow it themselves.
export class Context<B = any> {
  #parts: RequestParts
  readonly request: Request
  readonly env: Env
  readonly url: RequestUrl
  readonly params: Record<string, string>
  readonly requestId: string
  readonly version: Version
  readonly now_ms: number
  readonly body: B
  readonly waitUntil: (work: Promise<unknown>) => void
  #policy: Policy
  #caller: Caller | null
  #project: Remote<ProjectSession> | null = null
  #region: Remote<RegionSession> | null = null
  #judged = false

  constructor(parts: RequestParts, caller: Caller | null, body: B) {
    this.#parts = parts
    this.request = parts.request
    this.env = parts.env
    this.url = parts.url
    this.params = parts.params
    this.requestId = parts.requestId
    this.version = parts.version
    this.now_ms = parts.now_ms
    this.waitUntil = parts.waitUntil
    this.#policy = parts.policy
    this.#caller = caller
    this.body = body
  }

  get query(): URLSearchParams {
    return this.url.searchParams
  }

  /** The verified caller; 401 where the route is public and nobody came with a token. */
  get caller(): Caller {
    if (this.#caller === null) throw unauthorized()
    return this.#caller
  }

  /** The same request in the name of somebody else: a dialect that verifies callers itself. */
  as(caller: Caller): Context<B> {
    return new Context<B>(this.#parts, caller, this.body)
  }

  get anonymous(): boolean {
    return this.#caller === null
  }

  /** Minor microversion: `ctx.at(53)` is true from 2.53 on. */
  at(minor: number): boolean {
    return this.version[1] >= minor
  }

  /** Origin that links carry: the configured public URL or the request's own. */
  get origin(): string {
    return this.env.PUBLIC_URL || this.url.origin
  }

  /** The caller's own project: no further hop decides anything about it. 401 for a token without a project. */
  get project(): Remote<ProjectSession> {
    if (this.#project === null) this.#project = this.projectById(this.projectId)
    return this.#project
  }

  get projectId(): string {
    const id = this.caller.project_id
    if (id === null) throw policyFault('a project-scoped operation with a token that has no project')
    return id
  }

  get region(): Remote<RegionSession> {
    if (this.#region === null) {
      this.judged()
      this.#region = sessionOn<RegionSession>(this.env.REGION.getByName(REGION_OBJECT_NAME), this.caller)
    }
    return this.#region
  }

  /** Another tenant's project: only after a policy said that the caller may. */
  projectById(id: string): Remote<ProjectSession> {
    this.judged()
    return sessionOn<ProjectSession>(this.env.PROJECT.getByName(id), this.caller)
  }

  /** An object that knows of revocations is shown the caller, and refuses one whose token was revoked: nobody else has to ask. */
  judged(): void {
    this.#judged = true
  }

  get isJudged(): boolean {
    return this.#judged
  }

  /** For what ends in no such object: Region knows every revocation. Asked before a change, and by the server after what has shown the caller to nobody. */
  async live(): Promise<void> {
    if (this.#judged) return
    await this.env.REGION.getByName(REGION_OBJECT_NAME).check(this.caller)
    this.judged()
  }

  /** Projects that may own the resource, by its id's tag; the caller's own first. */
  async ownersOf(resourceId: string): Promise<string[]> {
    const found = await this.region.directory.projectsByTag(tagOf(resourceId))
    const own = this.caller.project_id
    return own !== null && found.includes(own) ? [own, ...found.filter((id) => id !== own)] : found
  }

  /**
   * Runs `work` on the caller's own project; on not_found, where `rule` lets the caller see others' (admins), on the projects that may own the id.
   * The second argument of `work` is the project's id.
   */
  async onOwner<T>(resourceId: string, rule: string, work: (project: Remote<ProjectSession>, projectId: string) => Promise<T>): Promise<T> {
    let missing: unknown
    if (this.caller.project_id !== null) {
      try {
        return await work(this.project, this.caller.project_id)
      } catch (error) {
        if (!isFault(error, 'not_found') || !this.allows(rule, { project_id: null })) throw error
        missing = error
      }
    }
    for (const owner of this.allows(rule, { project_id: null }) ? await this.ownersOf(resourceId) : []) {
      if (owner === this.caller.project_id) continue
      try {
        return await work(this.projectById(owner), owner)
      } catch (error) {
        if (!isFault(error, 'not_found')) throw error
        missing = error
      }
    }
    throw missing ?? unauthorized()
  }

  allows(rule: string, target: Target = this.ownTarget()): boolean {
    return this.#policy.allows(rule, this.caller, target)
  }

  authorize(rule: string, target: Target = this.ownTarget()): void {
    if (!this.allows(rule, target)) throw policyFault(rule)
  }

  /** The target of a request about the caller's own things. */
  ownTarget(): Target {
    return { project_id: this.caller.project_id, user_id: this.caller.user_id, domain_id: this.caller.domain_id, tenant_id: this.caller.project_id }
  }
}
