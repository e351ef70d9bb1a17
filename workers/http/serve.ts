/** Serves one service: match, authenticate, version, policy, body, idempotency, handler, response. One instance per isolate and environment. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import { IDENTITY_NAME } from '../../durable-objects/kernel/env.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import { rulesAllow } from './access-rules.ts'
import { Address, type RequestUrl } from './address.ts'
import { authenticate, callerAtHand, isService, unauthorized } from './auth.ts'
import { Context, type RequestParts } from './context.ts'
import { renderFault } from './faults.ts'
import { keepReply, ledgerKey } from './idempotency.ts'
import { requestedVersion, versionHeaders } from './microversion.ts'
import type { Version } from './microversion.ts'
import { Policy, type PolicyRule, policyFault } from './policy.ts'
import { type Route, parseBody, respond } from './route.ts'
import { type Match, Routes } from './router.ts'
import type { Service } from './service.ts'

export class Server {
  readonly service: Service
  #policy: Policy
  /** Where failures are told: the platform's log, or the simulator's. */
  #tell: (event: string, fields: Record<string, unknown>) => void
  #routes: Routes

  constructor(service: Service, env: Env, rules: readonly PolicyRule[]) {
    this.service = service
    this.#tell = env.SIM?.log ?? ((event, fields) => console.error(JSON.stringify({ event, ...fields })))
    this.#policy = new Policy(rules, env.POLICY_OVERRIDES ? JSON.parse(env.POLICY_OVERRIDES) : {})
    for (const spec of service.routes) {
      if (spec.policy !== 'public' && spec.policy !== 'token' && !this.#policy.has(spec.policy)) throw new Error(`${service.name}: ${spec.method} ${spec.path} names an unknown policy ${spec.policy}`)
    }
    this.#routes = new Routes(service.routes)
  }

  /** `path`: the URL's path after the service's prefix; `url`: the request's, where the caller has parsed it already. */
  async handle(request: Request, env: Env, path: string, requestId: string, now_ms: number, waitUntil: (work: Promise<unknown>) => void, url: RequestUrl = new Address(request.url)): Promise<Response> {
    const { service } = this
    let version: Version | null = null
    const headersOf = () => ({ 'x-openstack-request-id': requestId, ...(service.dialect === 'nova' ? { 'x-compute-request-id': requestId } : {}), ...(service.dialect === 'keystone' ? { vary: 'X-Auth-Token' } : {}), ...(version === null ? {} : versionHeaders(service, version)) })
    try {
      version = service.microversions === undefined ? [1, 0] : requestedVersion(service, request.headers)
      const match = this.#find(request, service.rewrite?.(path) ?? path, version)
      const near = callerAtHand(env, request, requestId, now_ms)
      // Each wait that is not one costs a turn of its own: the common request has none before its handler.
      const caller = near !== null && !near.ruled ? near : match.route.policy === 'public' ? await this.#optionalCaller(request, env, path, requestId, now_ms) : await this.#caller(request, env, path, requestId, now_ms)
      const parts: RequestParts = { request, env, url, params: match.params, requestId, version, policy: this.#policy, now_ms, waitUntil }
      const { policy } = match.route
      if (policy !== 'public' && policy !== 'token') {
        const probe = new Context(parts, caller, undefined)
        if (!this.#policy.allows(policy, probe.caller, match.route.target?.(match.params) ?? probe.ownTarget())) throw policyFault(policy)
      }
      return await this.#run(match.route, parts, caller, env, headersOf())
    } catch (error) {
      return this.#failure(error, request, requestId, headersOf())
    }
  }

  #run(route: Route, parts: RequestParts, caller: Caller | null, env: Env, headers: Record<string, string>): Promise<Response> {
    const isBare = parts.request.method !== 'POST' && (route.body === undefined || route.body === 'stream')
    return isBare ? this.#answer(route, new Context(parts, caller, undefined), headers) : this.#withBody(route, parts, caller, env, headers)
  }

  async #withBody(route: Route, parts: RequestParts, caller: Caller | null, env: Env, headers: Record<string, string>): Promise<Response> {
    const { request } = parts
    const key = request.method === 'POST' && route.body !== 'stream' && caller !== null ? await ledgerKey(request, caller, this.service.name) : null
    if (key === null) {
      const body = await parseBody(route, request, parts.version[1], this.service.wording)
      return await this.#answer(route, new Context(parts, caller, body), headers)
    }
    const owner = caller?.project_id == null ? env.IDENTITY.getByName(IDENTITY_NAME) : env.PROJECT.getByName(caller.project_id)
    return await keepReply(owner, key, parts.requestId, async () => {
      try {
        const body = await parseBody(route, key.request, parts.version[1], this.service.wording)
        return await this.#answer(route, new Context({ ...parts, request: key.request }, caller, body), headers)
      } catch (error) {
        return this.#failure(error, request, parts.requestId, headers)
      }
    })
  }

  async #answer(route: Route, ctx: Context, headers: Record<string, string>): Promise<Response> {
    const result = await route.handle(ctx)
    if (route.policy !== 'public' && !ctx.isJudged) await ctx.live()
    return respond(route, result, headers)
  }

  #find(request: Request, path: string, version: Version): Match {
    const found = this.service.match?.(path) ?? this.#routes.of(path === '' ? '/' : path)
    const live = found.filter(({ route }) => route.versions === undefined || (version[1] >= route.versions[0] && (route.versions[1] === null || version[1] <= route.versions[1])))
    const method = request.method
    const exact = live.find(({ route }) => route.method === method) ?? (method === 'HEAD' ? live.find(({ route }) => route.method === 'GET') : undefined)
    if (exact !== undefined) return exact
    if (live.length > 0) throw new Fault('method_not_allowed', 'The method is not allowed for this resource.', { headers: { allow: [...new Set(live.map(({ route }) => route.method))].join(', ') } })
    throw new Fault('not_found', 'The resource could not be found.')
  }

  async #caller(request: Request, env: Env, path: string, requestId: string, now_ms: number): Promise<Caller> {
    const caller = await this.#known(request, env, path, requestId, now_ms)
    if (caller === null) throw unauthorized()
    return caller
  }

  /** A token whose access rules do not name this request is as good as none; a service that passes a user's request on says so with a token of its own. */
  async #known(request: Request, env: Env, path: string, requestId: string, now_ms: number): Promise<Caller | null> {
    const caller = await authenticate(env, request, requestId, now_ms)
    if (caller === null || !caller.ruled || (await isService(env, request, now_ms))) return caller
    if (await rulesAllow(env, caller, { method: request.method, path, service: this.service })) return caller
    throw unauthorized()
  }

  /** Public routes still know who calls where the token holds. */
  async #optionalCaller(request: Request, env: Env, path: string, requestId: string, now_ms: number): Promise<Caller | null> {
    try {
      return await this.#known(request, env, path, requestId, now_ms)
    } catch {
      return null
    }
  }

  #failure(error: unknown, request: Request, requestId: string, headers: Record<string, string>): Response {
    if (isFault(error)) return renderFault(this.service.dialect, error, request, requestId, headers)
    if (isPassing(error)) {
      this.#tell('request.interrupted', { request_id: requestId, service: this.service.name, method: request.method, path: new URL(request.url).pathname, error: String((error as Error)?.message ?? error) })
      return renderFault(this.service.dialect, new Fault('unavailable', 'The service is restarting a part of itself. Try again.', { headers: { 'retry-after': '1' } }), request, requestId, headers)
    }
    this.#tell('request.failed', { request_id: requestId, service: this.service.name, method: request.method, path: new URL(request.url).pathname, error: String((error as Error)?.stack ?? error) })
    return renderFault(this.service.dialect, new Fault('internal', `An unexpected error prevented the server from fulfilling your request. Quote ${requestId} when you report it.`), request, requestId, headers)
  }
}

/** The platform moved or reset an object, or has too much to do: not our error, and soon over. */
function isPassing(error: unknown): boolean {
  const { retryable, overloaded, durableObjectReset } = (error ?? {}) as { retryable?: boolean; overloaded?: boolean; durableObjectReset?: boolean }
  return retryable === true || overloaded === true || durableObjectReset === true
}
