/** Client authentication by HTTP Basic (RFC 6749, section 2.3.1): id and secret of an application credential. Pure. */

export type Client = { id: string; secret: string } | 'none' | 'broken'

/** 'none': the header is not there or not Basic; 'broken': it holds no id and secret. */
export function clientOf(authorization: string | null): Client {
  const match = /^Basic +([A-Za-z0-9+/=_-]+) *$/i.exec(authorization ?? '')
  if (match === null) return 'none'
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(atob(match[1] ?? ''), (char) => char.charCodeAt(0)))
  } catch {
    return 'broken'
  }
  const colon = text.indexOf(':')
  const [id, secret] = [text.slice(0, Math.max(0, colon)), text.slice(colon + 1)]
  return colon < 0 || id === '' || secret === '' ? 'broken' : { id, secret }
}
