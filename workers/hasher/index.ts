/**
 * The hashing service: a second workerd process on a single machine, because scrypt holds its process's only thread. POST /hash {password, params} ->
 * {hash}; POST /verify {password, hash} -> 204, or 403 where it is another. Bounded: past QUEUE_MAX waiting requests the answer is 503. Bind it to loopback only.
 */
import { type ScryptParams, hashPassword, verifyPassword } from '../identity/passwords/hash.ts'

const QUEUE_MAX = 256
let waiting = 0

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url)
  if (request.method !== 'POST') return new Response(null, { status: 405 })
  const body = (await request.json()) as { password: string; hash: string; params: ScryptParams }
  if (pathname === '/hash') return Response.json({ hash: await hashPassword(body.password, body.params) })
  if (pathname === '/verify') return new Response(null, { status: (await verifyPassword(body.password, body.hash)) ? 204 : 403 })
  return new Response(null, { status: 404 })
}

export default {
  async fetch(request: Request): Promise<Response> {
    if (waiting >= QUEUE_MAX) return new Response(null, { status: 503, headers: { 'retry-after': '1' } })
    waiting++
    try {
      return await answer(request)
    } catch {
      return new Response(null, { status: 400 })
    } finally {
      waiting--
    }
  },
}
