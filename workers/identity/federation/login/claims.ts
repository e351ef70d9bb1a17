/** Claims of a verified token -> the names and values that mapping rules see. Pure. Nothing of a request's own headers is ever among them. */
import type { Assertion } from '../mappings/rules.ts'

export type Claims = Record<string, unknown>

const DEPTH_MAX = 4
const VALUES_MAX = 2_000

const scalar = (value: unknown): value is string | number | boolean => ['string', 'number', 'boolean'].includes(typeof value)

/** { realm_access: { roles: [..] } } -> 'realm_access.roles'. */
function flatten(claims: Claims, prefix: string, depth: number, out: Map<string, string[]>): void {
  for (const [name, value] of Object.entries(claims)) {
    if (scalar(value)) out.set(prefix + name, [String(value)])
    else if (Array.isArray(value)) out.set(prefix + name, value.filter(scalar).slice(0, VALUES_MAX).map(String))
    else if (typeof value === 'object' && value !== null && depth < DEPTH_MAX) flatten(value as Claims, `${prefix}${name}.`, depth + 1, out)
  }
}

/**
 * Each claim by four names: its own, and those that rules written for Apache's module use: OIDC-<claim>, OIDC_CLAIM_<claim> and, as WSGI spells a header,
 * HTTP_OIDC_<CLAIM>. Of two claims that differ only in what the last spelling loses, neither is known by it.
 */
export function assertionOf(claims: Claims): Assertion {
  const own = new Map<string, string[]>()
  flatten(claims, '', 0, own)
  const out = new Map<string, string[]>()
  const spelled = new Map<string, string[] | null>()
  for (const [name, values] of own) {
    const header = `HTTP_OIDC_${name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`
    spelled.set(header, spelled.has(header) ? null : values)
    out.set(`OIDC-${name}`, values)
    out.set(`OIDC_CLAIM_${name}`, values)
  }
  for (const [name, values] of spelled) if (values !== null) out.set(name, values)
  // A claim's own name comes last: no claim can pose as another by being called HTTP_OIDC_SUB.
  for (const [name, values] of own) if (!/^(OIDC-|OIDC_CLAIM_|HTTP_OIDC_)/.test(name)) out.set(name, values)
  return out
}
