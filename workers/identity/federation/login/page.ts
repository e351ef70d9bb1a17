/** The page that ends a browser login: it hands the token to the dashboard by a form, as Horizon expects it. Pure. */
import { createHash } from 'node:crypto'

const SCRIPT = 'document.forms[0].submit()'
const SCRIPT_HASH = createHash('sha256').update(SCRIPT).digest('base64')

const escaped = (text: string) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)

export interface Page {
  html: string
  headers: Record<string, string>
}

export function handOver(dashboard: string, token: string): Page {
  const { origin } = new URL(dashboard)
  return {
    html: `<!DOCTYPE html><html><head><meta charset="utf-8"><title>Logging in</title></head><body><form method="post" action="${escaped(dashboard)}"><input type="hidden" name="token" value="${escaped(token)}"><noscript><p>Scripts are off: press the button to go on.</p><input type="submit" value="Continue"></noscript></form><script>${SCRIPT}</script></body></html>`,
    headers: {
      'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY',
      'content-security-policy': `default-src 'none'; script-src 'sha256-${SCRIPT_HASH}'; form-action ${origin}; base-uri 'none'; frame-ancestors 'none'`,
    },
  }
}
