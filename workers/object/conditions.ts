/** If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since: RFC 9110's order, over what the object has now. */
export interface Validators {
  etag: string
  /** Milliseconds, whole seconds as Last-Modified shows them. */
  modified_ms: number
}

const tags = (header: string): string[] => header.split(',').map((part) => part.trim().replace(/^W\//, '').replace(/^"(.*)"$/, '$1'))
const bare = (etag: string): string => etag.replace(/^"(.*)"$/, '$1')

/** 200: go on. 304 and 412 as the conditions say. `found` null: there is no such object. */
export function precondition(headers: Headers, found: Validators | null, isRead: boolean): 200 | 304 | 412 {
  const ifMatch = headers.get('if-match')
  if (ifMatch !== null && !(found !== null && (ifMatch.trim() === '*' || tags(ifMatch).includes(bare(found.etag))))) return 412
  const since = dateOf(headers.get('if-unmodified-since'))
  if (ifMatch === null && since !== null && found !== null && found.modified_ms > since) return 412
  const noneMatch = headers.get('if-none-match')
  if (noneMatch !== null) {
    if (found !== null && (noneMatch.trim() === '*' || tags(noneMatch).includes(bare(found.etag)))) return isRead ? 304 : 412
    return 200
  }
  const modifiedSince = dateOf(headers.get('if-modified-since'))
  return isRead && found !== null && modifiedSince !== null && found.modified_ms <= modifiedSince ? 304 : 200
}

/** RFC 9110 dates and asctime (Tempest sends the latter, without a zone: GMT). */
export function dateOf(text: string | null): number | null {
  if (text === null) return null
  const ms = Date.parse(/GMT|UTC|[+-]\d{4}$|Z$/.test(text) ? text : `${text} GMT`)
  return Number.isNaN(ms) ? null : ms
}
