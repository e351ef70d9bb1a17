/** Finds the service of a request by its first path segment, or a dialect that knows its requests wherever they land, and hands it over. */
import type { Env } from '../durable-objects/kernel/env.ts'
import { systemRandom } from '../schema/values/random.ts'
import { createIds } from '../schema/values/ids.ts'
import { systemClock } from '../schema/values/time.ts'
import { Fault, isFault } from '../schema/values/fault.ts'
import { Address, type RequestUrl } from './http/address.ts'
import { limitBody } from './http/body-limit.ts'
import { renderFault } from './http/faults.ts'
import { Server } from './http/serve.ts'
import { ALL_POLICIES, SERVICES } from './services.ts'

/** Services that know their requests wherever they land. */
const DIALECTS = SERVICES.filter(({ recognise }) => recognise !== undefined)
/** Services whose hosts say a part of the path. */
const HOSTED = SERVICES.filter(({ locate }) => locate !== undefined)
const ids = createIds(systemRandom)

const servers = new WeakMap<object, Map<string, Server>>()

function serversOf(env: Env): Map<string, Server> {
  let found = servers.get(env)
  if (found === undefined) {
    found = new Map(SERVICES.map((service) => [service.prefix, new Server(service, env, ALL_POLICIES)]))
    servers.set(env, found)
  }
  return found
}

const prefixOf = (pathname: string): string => {
  const end = pathname.indexOf('/', 1)
  return end === -1 ? pathname : pathname.slice(0, end)
}

/** The same request at another path of the same host. */
function moved(request: Request, url: RequestUrl, path: string): [Request, RequestUrl] {
  const target = new Address(new URL(path + url.search, url.origin).href)
  return [new Request(target.href, request), target]
}

export async function dispatch(given: Request, env: Env, ctx: { waitUntil(work: Promise<unknown>): void }): Promise<Response> {
  let request = given
  let url: RequestUrl = new Address(request.url)
  const requestId = `req-${(env.SIM === undefined ? ids : createIds(env.SIM.random)).uuid()}`
  const known = serversOf(env)
  const dialect = DIALECTS.find((service) => service.recognise?.(request, env, url, known.has(prefixOf(url.pathname))))
  for (const service of dialect === undefined ? HOSTED : []) {
    try {
      const path = service.locate?.(env, url) ?? null
      if (path !== null) [request, url] = moved(request, url, path)
    } catch (error) {
      if (!isFault(error)) throw error
      return renderFault(service.dialect, error, request, requestId)
    }
  }
  const { pathname } = url
  const prefix = prefixOf(pathname)
  // Somebody who typed the cloud's address into a browser.
  if (dialect === undefined && pathname === '/' && request.method === 'GET' && request.headers.get('accept')?.includes('text/html')) return new Response(null, { status: 302, headers: { location: '/dashboard' } })
  const server = known.get(dialect?.prefix ?? prefix)
  if (server === undefined) return renderFault('plain', new Fault('not_found', `Nothing is served at ${prefix}.`), request, requestId)
  const limited = limitBody(request, Number(env.BODY_BYTES_MAX ?? 0))
  const refuse = (fault: Fault) => renderFault(server.service.dialect, fault, request, requestId, { 'x-openstack-request-id': requestId })
  const before = limited.refusal()
  if (before !== null) return refuse(before)
  const answer = await server.handle(limited.request, env, pathname.slice(prefix.length), requestId, (env.SIM?.clock ?? systemClock).now_ms(), (work) => ctx.waitUntil(work), url)
  const after = limited.refusal()
  return after === null ? answer : refuse(after)
}
