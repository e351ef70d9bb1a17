/**
 * Policy: oslo.policy check strings, evaluated over the caller (credentials) and a target. Rules are declared beside their resource with
 * the operations they guard; an override file replaces check strings by name. Grammar: `@`, `!`, `rule:x`, `role:x`, `attr:%(target)s`,
 * `'literal':%(target)s`, `and`, `or`, `not`, parentheses (oslo.policy documentation, "Policy configuration").
 */
import type { Caller } from '../../schema/values/caller.ts'
import { Fault } from '../../schema/values/fault.ts'

export interface PolicyRule {
  /** 'os_compute_api:servers:create' */
  name: string
  /** Default check string. */
  check: string
  /** Documentation: what it guards. */
  operations?: string[]
}

export type Target = Record<string, string | boolean | null | undefined>
type Check = (creds: Credentials, target: Target, rules: Rules, depth: number) => boolean
type Rules = Map<string, Check>
type Credentials = Record<string, unknown> & { roles: string[] }

/** The personas every service shares. */
export const PERSONAS: PolicyRule[] = [
  { name: 'admin', check: 'role:admin' },
  { name: 'admin_required', check: 'role:admin' },
  { name: 'owner', check: 'project_id:%(project_id)s' },
  { name: 'project_reader', check: '(role:reader or role:member or role:admin) and project_id:%(project_id)s' },
  { name: 'project_member', check: '(role:member or role:admin) and project_id:%(project_id)s' },
  { name: 'project_manager', check: '(role:manager or role:admin) and project_id:%(project_id)s' },
  { name: 'project_reader_or_admin', check: 'rule:project_reader or role:admin' },
  { name: 'project_member_or_admin', check: 'rule:project_member or role:admin' },
  { name: 'project_manager_or_admin', check: 'rule:project_manager or role:admin' },
  { name: 'service_role', check: 'role:service' },
]

const POLICY_DEPTH_MAX = 32
const TOKEN = /\s*(\(|\)|'[^']*':%\([^)]*\)s|(?:[^\s()%]|%\([^)]*\)s)+)/y

function tokenize(text: string): string[] {
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text)
    if (match === null) break
    tokens.push(match[1] ?? '')
  }
  return tokens
}

/** Compiles a check string; throws an Error that names what is wrong. */
export function parseCheck(text: string): Check {
  const tokens = tokenize(text)
  if (tokens.length === 0) return () => true
  let at = 0
  const or = (): Check => {
    let left = and()
    while (tokens[at]?.toLowerCase() === 'or') {
      at++
      const [a, b] = [left, and()]
      left = (creds, target, rules, depth) => a(creds, target, rules, depth) || b(creds, target, rules, depth)
    }
    return left
  }
  const and = (): Check => {
    let left = unary()
    while (tokens[at]?.toLowerCase() === 'and') {
      at++
      const [a, b] = [left, unary()]
      left = (creds, target, rules, depth) => a(creds, target, rules, depth) && b(creds, target, rules, depth)
    }
    return left
  }
  const unary = (): Check => {
    const token = tokens[at++]
    if (token === undefined) throw new Error(`policy check ends too early: ${text}`)
    if (token.toLowerCase() === 'not') {
      const inner = unary()
      return (creds, target, rules, depth) => !inner(creds, target, rules, depth)
    }
    if (token === '(') {
      const inner = or()
      if (tokens[at++] !== ')') throw new Error(`policy check lacks a parenthesis: ${text}`)
      return inner
    }
    return leaf(token, text)
  }
  const check = or()
  if (at !== tokens.length) throw new Error(`policy check has too much at '${tokens[at]}': ${text}`)
  return check
}

function leaf(token: string, text: string): Check {
  if (token === '@') return () => true
  if (token === '!') return () => false
  const colon = token.startsWith("'") ? token.indexOf("'", 1) + 1 : token.indexOf(':')
  if (colon <= 0 || token[colon] !== ':') throw new Error(`policy check has a strange word '${token}': ${text}`)
  const [left, right] = [token.slice(0, colon), token.slice(colon + 1)]
  if (left === 'rule') {
    return (creds, target, rules, depth) => {
      const rule = rules.get(right)
      if (rule === undefined || depth > POLICY_DEPTH_MAX) return false
      return rule(creds, target, rules, depth + 1)
    }
  }
  if (left === 'role') return (creds) => creds.roles.some((role) => role.toLowerCase() === right.toLowerCase())
  const wanted = /^%\((.+)\)s$/.exec(right)
  return (creds, target) => {
    const value = wanted === null ? right : target[wanted[1] ?? '']
    if (wanted !== null && value === undefined) return false
    if (left.startsWith("'")) return left.slice(1, -1) === String(value)
    if (left === 'None' || left === 'True' || left === 'False') return left === (value === null ? 'None' : value === true ? 'True' : value === false ? 'False' : String(value))
    const own = creds[left]
    // A credential that is not there equals only the word None written in the rule, never a target's null: nobody's thing is not everybody's.
    if (own === null || own === undefined) return wanted === null && value === 'None'
    return String(own) === String(value)
  }
}

export class Policy {
  #rules: Rules = new Map()

  constructor(rules: readonly PolicyRule[], overrides: Record<string, string> = {}) {
    for (const rule of [...PERSONAS, ...rules]) this.#rules.set(rule.name, parseCheck(overrides[rule.name] ?? rule.check))
    for (const [name, check] of Object.entries(overrides)) if (!this.#rules.has(name)) this.#rules.set(name, parseCheck(check))
  }

  has(name: string): boolean {
    return this.#rules.has(name)
  }

  /** An unknown rule allows nothing. */
  allows(name: string, caller: Caller, target: Target): boolean {
    const check = this.#rules.get(name)
    if (check === undefined) return false
    return check(credentialsOf(caller), target, this.#rules, 0)
  }
}

function credentialsOf(caller: Caller): Credentials {
  return { ...caller, system_scope: caller.system ? 'all' : null, roles: caller.roles }
}

export const policyFault = (rule: string): Fault => new Fault('forbidden', `Policy doesn't allow ${rule} to be performed.`)
