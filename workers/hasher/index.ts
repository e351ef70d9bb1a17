/**
 * The hashing service: a second workerd process on a single machine, because scrypt holds its process's only thread. POST /hash {password, params} ->
 * {hash}; GET /verify with a proof in a header (passwords/proof.ts) -> 204, or 403 where it is another. Bounded: past QUEUE_MAX waiting requests the answer is 503. Bind it to loopback only.
 */
import { type ScryptParams, hashPassword, verifyPassword } from '../identity/passwords/hash.ts'
import { PROOF_HEADER, readProof } from '../identity/passwords/proof.ts'

const QUEUE_MAX = 256
let waiting = 0

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url)
  if (pathname === '/verify') {
    const proof = readProof(request.headers.get(PROOF_HEADER) ?? '')
    if (proof === null) return new Response(null, { status: 400 })
    return new Response(null, { status: (await verifyPassword(proof.password, proof.hash)) ? 204 : 403 })
  }
  if (pathname !== '/hash') return new Response(null, { status: 404 })
  if (request.method !== 'POST') return new Response(null, { status: 405 })
  const body = (await request.json()) as { password: string; params: ScryptParams }
  return Response.json({ hash: await hashPassword(body.password, body.params) })
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
