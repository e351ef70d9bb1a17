/** How the dashboard's files are answered: who may frame, script or style them, and how long they are kept. Pure. */
import type { BuiltFile } from './built.d.ts'

/**
 * Only our own scripts, from files; no frame around us (clickjacking), no form to elsewhere, no other origin at all. The terminal of the serial page makes
 * its own style elements, so that page alone may have styles in the text.
 */
const policy = (styles: string) =>
  `default-src 'none'; script-src 'self'; style-src ${styles}; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'`

const STRICT = policy("'self'")
const WITH_INLINE_STYLES = policy("'self' 'unsafe-inline'")

export function assetResponse(name: string, file: BuiltFile, known: string | null): { status: number; headers: Record<string, string>; body: string | undefined } {
  const headers: Record<string, string> = {
    'content-type': file.type, etag: file.etag, 'cache-control': 'no-cache', 'content-security-policy': name === 'serial.html' ? WITH_INLINE_STYLES : STRICT, 'x-frame-options': 'DENY', 'x-content-type-options': 'nosniff',
    // A console's address has a token in it: it goes nowhere.
    'referrer-policy': 'no-referrer', 'cross-origin-opener-policy': 'same-origin', 'cross-origin-resource-policy': 'same-origin',
  }
  return known === file.etag ? { status: 304, headers, body: undefined } : { status: 200, headers, body: file.text }
}
