/** One Swift request: its names, its caller, and what it is allowed; shared by all handlers, so that a dialect or the door can run them as they are. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { isFault } from '../../schema/values/fault.ts'
import type { Context } from '../http/context.ts'
import { statusIn } from '../http/faults.ts'
import { type Acl, callerNamed, parseAccountAcl, parseAcl, referrerAllowed } from './acl.ts'
import type { AccountInfo } from './account/store.ts'
import type { ContainerInfo } from './container/store.ts'
import { renderSwift, swiftFault } from './errors.ts'
import { isTrue } from './headers.ts'
import { knownAccount, knownContainer } from './known.ts'
import { type Names, type ObjectName, PREFIX, parseNames, projectOf, rawPath } from './names.ts'
import { isRevoked } from './revoked.ts'

export type Operation = 'head' | 'get' | 'put' | 'post' | 'delete' | 'copy'
export type Access = 'owner' | 'reader' | 'acl'

/** A grant that came with the request instead of a token: a temporary URL or a form. Names what it is good for. */
export interface Grant {
  method: string
  account: string
  container: string
  /** The object, or with `prefix` what its name begins with; null is the whole container. */
  object: string | null
  prefix: boolean
  /** An account's key reaches all its containers (segments); a container's key only its own. */
  scope: 'account' | 'container'
}

export class SwiftRequest {
  readonly ctx: Context
  readonly env: Env
  readonly request: Request
  readonly headers: Headers
  readonly query: URLSearchParams
  /** Raw path after the service's prefix. */
  readonly path: string
  readonly names: Names
  readonly now_ms: number
  caller: Caller | null = null
  grant: Grant | null = null

  constructor(ctx: Context) {
    this.ctx = ctx
    this.env = ctx.env
    this.request = ctx.request
    this.headers = hyphened(ctx.request.headers)
    this.query = ctx.url.searchParams
    this.path = rawPath(ctx.request.url).replace(PREFIX, '')
    this.names = parseNames(this.path)
    this.now_ms = ctx.now_ms
  }

  /** The caller, unless the token was revoked meanwhile: then nobody. */
  async identify(): Promise<this> {
    const caller = this.ctx.anonymous ? null : this.ctx.caller
    this.caller = caller !== null && !(await isRevoked(this.env, caller, this.now_ms)) ? caller : null
    return this
  }

  get now_s(): number {
    return this.now_ms / 1000
  }

  get isRead(): boolean {
    return this.request.method === 'GET' || this.request.method === 'HEAD'
  }

  /** The operator of the store: beyond every account. */
  get isReseller(): boolean {
    return this.allows('swift:reseller')
  }

  get container(): string {
    if (this.names.container === null) throw swiftFault(404)
    return this.names.container
  }

  get objectName(): ObjectName {
    if (this.names.container === null || this.names.object === null) throw swiftFault(404)
    return { account: this.names.account, container: this.names.container, object: this.names.object }
  }

  account(name: string = this.names.account): Promise<AccountInfo | null> {
    return knownAccount(this.env, name, this.now_ms)
  }

  containerInfo(container: string = this.container, account: string = this.names.account): Promise<ContainerInfo | null> {
    return knownContainer(this.env, account, container, this.now_ms)
  }

  flag(name: string): boolean {
    return isTrue(this.headers.get(name))
  }

  allows(rule: string, account: string = this.names.account): boolean {
    if (this.caller === null) return false
    return this.ctx.allows(rule, { project_id: projectOf(account) })
  }

  /** By role alone. */
  byRole(level: 'account' | 'container' | 'object', operation: Operation, account: string = this.names.account): Access | null {
    if (!this.allows(`swift:${level}:${operation}`, account)) return null
    return this.allows('swift:operator', account) ? 'owner' : 'reader'
  }

  /** Role or account ACL, or 401/403. */
  async admit(level: 'account' | 'container', operation: Operation): Promise<Access> {
    const access = this.byRole(level, operation) ?? (await this.#byAccountAcl(level, operation, this.names.account))
    if (access === null) throw this.denied()
    return access
  }

  /** X-Account-Access-Control: admins are as owners; writers do all below the account, readers read. */
  async #byAccountAcl(level: 'account' | 'container' | 'object', operation: Operation, account: string): Promise<Access | null> {
    const { caller } = this
    if (caller === null) return null
    const acl = parseAccountAcl((await this.account(account))?.metadata['x-account-access-control'])
    if (acl === null) return null
    const isRead = operation === 'get' || operation === 'head'
    if (callerNamed(caller, acl.admin)) return 'owner'
    if (callerNamed(caller, acl['read-write']) && (level !== 'account' || isRead)) return 'acl'
    return isRead && callerNamed(caller, acl['read-only']) ? 'acl' : null
  }

  /** Role, grant or ACL, or 401/403. `info` is fetched only where the role does not settle it. */
  async needIn(level: 'container' | 'object', operation: Operation, container: string, object: string | null, account: string = this.names.account): Promise<Access> {
    if (this.granted(operation, account, container, object)) return 'acl'
    const access = this.byRole(level, operation, account) ?? (await this.#byAccountAcl(level, operation, account))
    if (access !== null) return access
    if (level === 'container' && operation !== 'get' && operation !== 'head') throw this.denied()
    const info = await this.containerInfo(container, account)
    const isRead = operation === 'get' || operation === 'head'
    const acl = parseAcl(info?.metadata[isRead ? 'x-container-read' : 'x-container-write'])
    if (isRead && this.#referred(acl, level)) return 'acl'
    if (this.caller !== null && callerNamed(this.caller, acl.groups)) return 'acl'
    throw this.denied()
  }

  granted(operation: Operation, account: string, container: string, object: string | null): boolean {
    const { grant } = this
    if (grant === null || grant.account !== account) return false
    // A HEAD looks at what it links to or consists of, but no bytes leave with it.
    const methods = grant.method === 'GET' || grant.method === 'HEAD' ? ['get', 'head'] : [grant.method.toLowerCase()]
    if (!methods.includes(operation)) return false
    if (grant.container === container && (grant.object === null || (grant.prefix ? object?.startsWith(grant.object) === true : grant.object === object))) return true
    // Segments of a large object that the grant names: within the key's scope.
    return object !== null && operation === 'get' && (grant.scope === 'account' || grant.container === container) && this.segments
  }

  /** Set while a manifest that was itself allowed is followed. */
  segments = false

  #referred(acl: Acl, level: 'container' | 'object'): boolean {
    if (!referrerAllowed(this.headers.get('referer'), acl.referrers)) return false
    return level === 'object' || acl.groups.includes('.rlistings')
  }

  denied(): Error {
    return swiftFault(this.caller === null ? 401 : 403)
  }
}

/** What following a manifest needs of a request, whichever dialect it came in. */
export type ManifestReader = Pick<SwiftRequest, 'env' | 'now_ms' | 'needIn' | 'segments'>

/** 'X-Container-Meta-a_b' is the same header as '...-a-b': WSGI servers never told them apart, and clients rely on it. */
function hyphened(headers: Headers): Headers {
  const odd = [...headers].filter(([name]) => name.includes('_'))
  if (odd.length === 0) return headers
  const fixed = new Headers(headers)
  for (const [name, value] of odd) {
    fixed.delete(name)
    fixed.set(name.replace(/_/g, '-'), value)
  }
  return fixed
}

/** tx + 21 hexadecimal digits + time: made from the request's id, so that logs can be searched by either. */
export function transId(requestId: string, now_ms: number): string {
  const hex = requestId.replace(/[^0-9a-f]/g, '').padEnd(21, '0').slice(-21)
  return `tx${hex}-${Math.floor(now_ms / 1000).toString(16).padStart(10, '0')}`
}

/** Runs a handler; every answer, faults too, carries what Swift's clients expect. */
export async function answer(ctx: Context, work: () => Promise<Response>): Promise<Response> {
  const isHead = ctx.request.method === 'HEAD'
  let response: Response
  try {
    response = await work()
  } catch (error) {
    if (!isFault(error)) throw error
    response = renderSwift(error, statusIn('swift', error), isHead)
  }
  const headers = new Headers(response.headers)
  const id = transId(ctx.requestId, ctx.now_ms)
  headers.set('x-trans-id', id)
  headers.set('x-openstack-request-id', id)
  if (!headers.has('date')) headers.set('date', new Date(ctx.now_ms).toUTCString())
  if (!headers.has('content-type')) headers.set('content-type', 'text/html; charset=UTF-8')
  if (response.body === null && !isHead && response.status !== 204 && response.status !== 304 && !headers.has('content-length')) headers.set('content-length', '0')
  return new Response(response.body, { status: response.status, headers })
}

/** A handler of requests about accounts, containers and objects. */
export const swift = (work: (request: SwiftRequest) => Promise<Response>) => (ctx: Context): Promise<Response> => answer(ctx, async () => work(await new SwiftRequest(ctx).identify()))
export const plain = (work: (ctx: Context) => Promise<Response> | Response) => (ctx: Context): Promise<Response> => answer(ctx, async () => work(ctx))
export const empty = (status: number, headers: Record<string, string> = {}): Response => new Response(null, { status, headers })
