/**
 * Policy: rules by name, declared beside their resource with the operations they guard, evaluated over the caller (credentials) and a target (check.ts has the grammar).
 * An override file replaces check strings by name: docs/policy.md.
 */
import type { Caller } from '../../schema/values/caller.ts'
import { Fault } from '../../schema/values/fault.ts'
import { type Check, type Credentials, type Target, circle, holds, parse, rulesNamed } from './check.ts'

export type { Target } from './check.ts'

export interface PolicyRule {
  /** 'os_compute_api:servers:create' */
  name: string
  /** Default check string. */
  check: string
  /** Documentation: what it guards. */
  operations?: string[]
}

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

export class Policy {
  #rules = new Map<string, Check>()

  /** Overrides: check strings, or the older lists of lists. What is wrong with them is said with the rule's name, before anything is served. */
  constructor(rules: readonly PolicyRule[], overrides: Record<string, string | unknown[]> = {}) {
    for (const rule of [...PERSONAS, ...rules]) this.#rules.set(rule.name, parse(rule.check))
    for (const [name, check] of Object.entries(overrides)) this.#rules.set(name, overriding(name, check))
    const around = circle(this.#rules)
    if (around !== null) throw new Error(`policy rule leads back to itself: ${around.join(' -> ')}`)
    for (const name of Object.keys(overrides)) {
      const unknown = rulesNamed(this.#rules.get(name) as Check).find((each) => !this.#rules.has(each))
      if (unknown !== undefined) throw new Error(`policy override of ${name} names the rule ${unknown}, which is not there`)
    }
  }

  has(name: string): boolean {
    return this.#rules.has(name)
  }

  /** An unknown rule allows nothing. */
  allows(name: string, caller: Caller, target: Target): boolean {
    const check = this.#rules.get(name)
    if (check === undefined) return false
    return holds(check, credentialsOf(caller), target, this.#rules)
  }
}

function overriding(name: string, check: unknown): Check {
  if (typeof check !== 'string' && !Array.isArray(check)) throw new Error(`policy override of ${name} is neither a check string nor a list`)
  try {
    return parse(check)
  } catch (error) {
    throw new Error(`policy override of ${name}: ${(error as Error).message}`)
  }
}

function credentialsOf(caller: Caller): Credentials {
  return { ...caller, system_scope: caller.system ? 'all' : null, roles: caller.roles }
}

export const policyFault = (rule: string): Fault => new Fault('forbidden', `Policy doesn't allow ${rule} to be performed.`)
