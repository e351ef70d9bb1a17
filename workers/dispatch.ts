/** Finds the service of a request by its first path segment, or a dialect that knows its requests wherever they land, and hands it over. */
import type { Env } from '../durable-objects/kernel/env.ts'
import { systemRandom } from '../schema/values/random.ts'
import { createIds } from '../schema/values/ids.ts'
import { systemClock } from '../schema/values/time.ts'
import { Fault } from '../schema/values/fault.ts'
import { limitBody } from './http/body-limit.ts'
import { renderFault } from './http/faults.ts'
import { Server } from './http/serve.ts'
import { ALL_POLICIES, SERVICES } from './services.ts'

/** Services that know their requests wherever they land. */
const DIALECTS = SERVICES.filter(({ recognise }) => recognise !== undefined)
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

export async function dispatch(request: Request, env: Env, ctx: { waitUntil(work: Promise<unknown>): void }): Promise<Response> {
  const url = new URL(request.url)
  const { pathname } = url
  const requestId = `req-${(env.SIM === undefined ? ids : createIds(env.SIM.random)).uuid()}`
  const end = pathname.indexOf('/', 1)
  const prefix = end === -1 ? pathname : pathname.slice(0, end)
  const known = serversOf(env)
  const dialect = DIALECTS.find((service) => service.recognise?.(request, env, url, known.has(prefix)))
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
