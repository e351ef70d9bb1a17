/** CORS as a container's metadata allows it (swift/proxy/controllers/base.py). */
import { swiftFault } from '../errors.ts'
import type { SwiftRequest } from '../request.ts'

const METHODS: Record<'account' | 'container' | 'object', string[]> = {
  account: ['HEAD', 'GET', 'PUT', 'POST', 'OPTIONS', 'DELETE'], container: ['HEAD', 'GET', 'PUT', 'POST', 'DELETE', 'OPTIONS'], object: ['HEAD', 'GET', 'PUT', 'POST', 'COPY', 'OPTIONS', 'DELETE'],
}
const EXPOSED = ['cache-control', 'content-language', 'content-type', 'expires', 'last-modified', 'pragma', 'etag', 'x-timestamp', 'x-trans-id', 'x-openstack-request-id']

async function allowedFor(request: SwiftRequest, origin: string): Promise<{ origin: string; expose: string[]; maxAge: string | undefined } | null> {
  if (request.names.container === null) return null
  const metadata = (await request.containerInfo())?.metadata ?? {}
  const origins = (metadata['x-container-meta-access-control-allow-origin'] ?? '').split(/\s+/).filter((one) => one !== '')
  if (!origins.includes('*') && !origins.includes(origin)) return null
  return { origin: origins.includes('*') ? '*' : origin, expose: (metadata['x-container-meta-access-control-expose-headers'] ?? '').split(/[\s,]+/).filter((one) => one !== ''), maxAge: metadata['x-container-meta-access-control-max-age'] }
}

export async function preflight(request: SwiftRequest): Promise<Response> {
  const level = request.names.object !== null ? 'object' : request.names.container !== null ? 'container' : 'account'
  const methods = METHODS[level].join(', ')
  const origin = request.headers.get('origin')
  if (origin === null) return new Response(null, { status: 200, headers: { allow: methods } })
  const wanted = request.headers.get('access-control-request-method')
  const rule = await allowedFor(request, origin)
  if (rule === null || wanted === null || !METHODS[level].includes(wanted)) throw swiftFault(401, undefined, { allow: methods })
  const headers: Record<string, string> = { allow: methods, 'access-control-allow-origin': rule.origin, 'access-control-allow-methods': methods, vary: 'Origin, Access-Control-Request-Headers' }
  const asked = request.headers.get('access-control-request-headers')
  if (asked !== null) headers['access-control-allow-headers'] = asked
  if (rule.maxAge !== undefined) headers['access-control-max-age'] = rule.maxAge
  return new Response(null, { status: 200, headers })
}

/** Adds what lets the page at Origin read the answer. */
export const cors = (work: (request: SwiftRequest) => Promise<Response>) => async (request: SwiftRequest): Promise<Response> => {
  const response = await work(request)
  const origin = request.headers.get('origin')
  if (origin === null || request.request.method === 'OPTIONS') return response
  const rule = await allowedFor(request, origin)
  if (rule === null) return response
  const headers = new Headers(response.headers)
  const own = [...headers.keys()].filter((name) => /^x-(account|container|object)-meta-/.test(name))
  headers.set('access-control-allow-origin', rule.origin)
  headers.set('access-control-expose-headers', [...new Set([...EXPOSED, ...own, ...rule.expose.map((name) => name.toLowerCase())])].join(', '))
  if (rule.origin !== '*') headers.set('vary', 'Origin')
  return new Response(response.body, { status: response.status, headers })
}
