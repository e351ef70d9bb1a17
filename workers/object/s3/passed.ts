/** An S3 request that a door passes on as it is: served by the same handlers, as if it had come here. What its signature covers (host, Authorization) came along in a header. */
import { createHash } from 'node:crypto'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { PASSED_HEADER, type PassedHead } from '../../../schema/agent/door.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { Server } from '../../http/serve.ts'
import { policies } from '../policy.ts'
import { s3 } from './service.ts'

const servers = new WeakMap<object, Server>()

function serverOf(env: Env): Server {
  const known = servers.get(env) ?? new Server(s3, env, policies)
  servers.set(env, known)
  return known
}

/** Only for requests that a door has signed. */
export async function passedS3({ request, env, query, requestId, now_ms, waitUntil }: Context): Promise<Response> {
  const [path, told] = [query.get('path') ?? '', request.headers.get(PASSED_HEADER) ?? '']
  if (!path.startsWith('/') || createHash('sha256').update(told).digest('base64url') !== query.get('client')) throw new Fault('unauthorized', 'The client\'s head is not the one that was signed.')
  const { host, authorization, client_ip } = JSON.parse(Buffer.from(told, 'base64url').toString()) as PassedHead
  const headers = new Headers(request.headers)
  headers.delete(PASSED_HEADER)
  headers.delete('authorization')
  if (authorization !== null) headers.set('authorization', authorization)
  headers.set('host', host)
  headers.set('cf-connecting-ip', client_ip)
  const url = `http://${host}${path}`
  const { method } = request
  // Some clients send a length of nothing with their GETs.
  const body = method === 'GET' || method === 'HEAD' ? null : request.body
  const original = new Request('http://door/', { method, headers, ...(body === null ? {} : { body, duplex: 'half' }) } as RequestInit)
  // As the client wrote it: a URL would normalise names such as '..', which the signature covers.
  Object.defineProperty(original, 'url', { value: url })
  Object.defineProperty(original, 'cf', { value: { clientIp: client_ip } })
  return await serverOf(env).handle(original, env, path.replace(/\?.*$/s, ''), requestId, now_ms, waitUntil)
}
