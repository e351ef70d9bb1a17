/**
 * Container ACLs: referrer rules ('.r:*', '.r:.example.com', '.r:-bad.example'), '.rlistings', and Keystone's project:user pairs with '*' on
 * either side (swift/common/middleware/acl.py, keystoneauth.py). Names match too, for users of the default domain, as upstream does.
 */
import type { Caller } from '../../schema/values/caller.ts'
import { swiftFault } from './errors.ts'

export interface Acl {
  referrers: string[]
  groups: string[]
}

/** Normalises what a client wrote; a wrong referrer rule is a 400. */
export function cleanAcl(header: string, value: string): string {
  const kept: string[] = []
  for (const part of value.split(',')) {
    const text = part.trim()
    if (text === '') continue
    if (!text.includes(':')) {
      kept.push(decode(text))
      continue
    }
    const at = text.indexOf(':')
    const [first, second] = [text.slice(0, at).trim(), text.slice(at + 1).trim()]
    if (first === '' || !first.startsWith('.')) {
      kept.push(decode(text))
      continue
    }
    if (!['.r', '.ref', '.referer', '.referrer'].includes(first)) throw swiftFault(400, `Unknown designator ${JSON.stringify(first)} in ACL: ${JSON.stringify(text)}`)
    if (header.toLowerCase().includes('write')) throw swiftFault(400, `Referrers not allowed in write ACL: ${JSON.stringify(text)}`)
    const negate = second.startsWith('-')
    let host = (negate ? second.slice(1) : second).trim()
    if (host.startsWith('*') && host !== '*') host = host.slice(1).trim()
    if (host === '' || host === '.') throw swiftFault(400, `No host/domain value after referrer designation in ACL: ${JSON.stringify(text)}`)
    kept.push(`.r:${negate ? '-' : ''}${host}`)
  }
  return kept.join(',')
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export function parseAcl(value: string | undefined): Acl {
  const acl: Acl = { referrers: [], groups: [] }
  for (const part of (value ?? '').split(',')) {
    if (part === '') continue
    if (part.startsWith('.r:')) acl.referrers.push(part.slice(3))
    else acl.groups.push(part)
  }
  return acl
}

/** The last matching referrer rule decides. */
export function referrerAllowed(referrer: string | null, rules: string[]): boolean {
  let allowed = false
  let host = 'unknown'
  try {
    host = referrer === null || referrer === '' ? 'unknown' : new URL(referrer).hostname || 'unknown'
  } catch {}
  for (const rule of rules) {
    const negated = rule.startsWith('-')
    const name = negated ? rule.slice(1) : rule
    if (name === '*' || name === host || (name.startsWith('.') && host.endsWith(name))) allowed = !negated
  }
  return allowed
}

/** Whether a pair such as 'project:user', 'project:*', '*:user', '*:*' or a role name names the caller. */
export function callerNamed(caller: Caller, groups: string[]): boolean {
  const inDefault = caller.user_domain_id === 'default' && (caller.project_domain_id ?? 'default') === 'default'
  const users = inDefault ? [caller.user_id, caller.user_name] : [caller.user_id]
  const projects = [caller.project_id, inDefault ? caller.project_name : null].filter((name): name is string => name !== null)
  return groups.some((group) => {
    const at = group.indexOf(':')
    if (at < 0) return caller.roles.includes(group)
    const [project, user] = [group.slice(0, at), group.slice(at + 1)]
    return (project === '*' || projects.includes(project)) && (user === '*' || users.includes(user))
  })
}

export const ACCOUNT_LEVELS = ['admin', 'read-write', 'read-only'] as const
export type AccountAcl = Record<(typeof ACCOUNT_LEVELS)[number], string[]>

/** X-Account-Access-Control as it is kept; a wrong one is a 400. '' clears it. */
export function cleanAccountAcl(value: string): string {
  if (value.trim() === '') return ''
  let given: unknown
  try {
    given = JSON.parse(value)
  } catch {
    throw swiftFault(400, 'X-Account-Access-Control invalid: not JSON')
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw swiftFault(400, 'X-Account-Access-Control invalid: not a JSON object')
  const kept: Partial<AccountAcl> = {}
  for (const [level, names] of Object.entries(given)) {
    const known = ACCOUNT_LEVELS.find((one) => one === level)
    if (known === undefined) throw swiftFault(400, `X-Account-Access-Control invalid: Key ${JSON.stringify(level)} not recognized`)
    if (!Array.isArray(names) || names.some((name) => typeof name !== 'string' || !name.includes(':'))) throw swiftFault(400, `X-Account-Access-Control invalid: Value for key ${JSON.stringify(level)} must be a list of project:user`)
    if (names.length > 0) kept[known] = names as string[]
  }
  return Object.keys(kept).length === 0 ? '' : JSON.stringify(kept)
}

export function parseAccountAcl(value: string | undefined): AccountAcl | null {
  return value === undefined || value === '' ? null : { admin: [], 'read-write': [], 'read-only': [], ...(JSON.parse(value) as Partial<AccountAcl>) }
}
