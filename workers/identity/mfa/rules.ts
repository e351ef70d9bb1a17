/** Multi-factor rules of a user: lists of auth methods, one of which must be met in full (keystone/auth/core.py, UserMFARulesValidator). Pure. */

/** Methods that this cloud knows: a rule's others are passed over, so that taking a method away locks nobody out. */
export const AUTH_METHODS = ['password', 'token', 'application_credential', 'totp', 'mapped', 'ec2credential'] as const

function rulesOf(options: Record<string, unknown>): string[][] {
  const rules = options.multi_factor_auth_rules
  if (options.multi_factor_auth_enabled === false || !Array.isArray(rules)) return []
  return rules.filter((rule): rule is unknown[] => Array.isArray(rule) && rule.length > 0).map((rule) => [...new Set(rule.filter((method) => (AUTH_METHODS as readonly unknown[]).includes(method)) as string[])])
}

export function rulesMet(options: Record<string, unknown>, methods: readonly string[]): boolean {
  const rules = rulesOf(options)
  return rules.length === 0 || rules.some((rule) => rule.every((method) => methods.includes(method)))
}

/** The rules that these methods have begun to meet: what a client is told that it may go on with. */
export const rulesBegun = (options: Record<string, unknown>, methods: readonly string[]): string[][] => rulesOf(options).filter((rule) => rule.some((method) => methods.includes(method)))
