/**
 * Where a console page connects to: always the own origin, whatever its address says. As noVNC takes it: `path` is the path with its query, or `token` a token alone.
 * A path that begins with two slashes would name another host (OSSA-2021-002): slashes at its head count as one.
 */
export const CONSOLES_PATH = 'compute/consoles/'

export function socketUrl(page: string): string | null {
  const { protocol, host, searchParams } = new URL(page)
  const token = searchParams.get('token')
  const path = searchParams.get('path') ?? (token === null ? null : `${CONSOLES_PATH}?token=${encodeURIComponent(token)}`)
  if (path === null) return null
  const origin = `${protocol === 'https:' ? 'wss:' : 'ws:'}//${host}`
  const url = new URL(`${origin}/${path.replace(/^[/\\\s]+/, '')}`)
  return url.host === host && url.pathname === `/${CONSOLES_PATH}` ? url.href : null
}

/** The page for a console's URL as Nova gives it; null where it is not one of this cloud. A serial line's URL is the WebSocket itself. */
export function pageUrl(origin: string, given: string): string | null {
  const url = new URL(given, origin)
  if (/^wss?:$/.test(url.protocol) && url.pathname === `/${CONSOLES_PATH}`) return `${origin}/dashboard/serial.html?path=${encodeURIComponent(`${CONSOLES_PATH}${url.search}`)}`
  return /^https?:$/.test(url.protocol) && url.pathname === '/dashboard/vnc.html' ? `${origin}${url.pathname}${url.search}` : null
}
