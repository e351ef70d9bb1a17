/** Which pages may open a console. Pure. */

/**
 * A browser says in every WebSocket handshake which page asks; only the cloud's own may (OSSA-2015-005: another site must not drive the viewer of somebody who
 * is logged in). Programs that are no browsers say nothing: the token is all that they have, as with nova-novncproxy.
 */
export function originAllowed(origin: string | null, requestUrl: string, publicUrl: string | undefined): boolean {
  if (origin === null) return true
  return [requestUrl, publicUrl].some((url) => url !== undefined && url !== '' && new URL(url).origin === origin)
}
