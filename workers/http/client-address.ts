/**
 * Where a request came from. On one machine workerd says it (and a client's own header is not believed); at the edge Cloudflare's header does. A reverse proxy
 * in front is named by CLIENT_ADDRESS_HEADER: the last address in that header is the one that the proxy itself saw.
 */
import type { Env } from '../../durable-objects/kernel/env.ts'

/** Without the port: '[2001:db8::1]:80', '192.0.2.1:80'; any other text is an address already. */
function bare(peer: string): string {
  if (peer.startsWith('[')) return peer.slice(1, peer.includes(']') ? peer.indexOf(']') : undefined)
  const colon = peer.indexOf(':')
  return colon !== -1 && colon === peer.lastIndexOf(':') ? peer.slice(0, colon) : peer
}

export function clientAddress(env: Pick<Env, 'CLIENT_ADDRESS_HEADER'>, request: Request): string | null {
  if (env.CLIENT_ADDRESS_HEADER) return request.headers.get(env.CLIENT_ADDRESS_HEADER)?.split(',').at(-1)?.trim() || null
  const { clientIp } = ((request as { cf?: unknown }).cf ?? {}) as { clientIp?: unknown }
  if (typeof clientIp === 'string') return bare(clientIp)
  return request.headers.get('cf-connecting-ip')
}
