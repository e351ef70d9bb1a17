/** XML that clients get: elements of escaped text, as strings. */
export const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
export const XSI = 'http://www.w3.org/2001/XMLSchema-instance'

/** XML 1.0 has no form for most control characters; they are written as references all the same, as S3 does, and listings have encoding-type=url. */
export const escapeXml = (text: string): string =>
  text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char] ?? char).replace(/[\x00-\x08\x0b-\x1f\ufffe\uffff]/g, (char) => `&#x${char.charCodeAt(0).toString(16)};`)

/** An element of what is XML already. */
export const element = (name: string, ...content: (string | null | undefined | false)[]): string => `<${name}>${content.filter((part) => typeof part === 'string').join('')}</${name}>`
export const leaf = (name: string, value: string | number | boolean): string => `<${name}>${escapeXml(String(value))}</${name}>`
/** Nothing where there is nothing. */
export const optional = (name: string, value: string | number | boolean | null | undefined): string => (value === null || value === undefined ? '' : leaf(name, value))

export function document(root: string, namespaced = true): string {
  const end = root.search(/[ \/>]/)
  return `<?xml version="1.0" encoding="UTF-8"?>\n${namespaced ? `${root.slice(0, end)} xmlns="${NAMESPACE}"${root.slice(end)}` : root}`
}

export function xmlResponse(root: string, status = 200, headers: Record<string, string> = {}): Response {
  const bytes = new TextEncoder().encode(document(root))
  return new Response(bytes, { status, headers: { 'content-type': 'application/xml', 'content-length': String(bytes.byteLength), ...headers } })
}
