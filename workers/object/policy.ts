/** Who may do what in an account by role, as keystoneauth's operator, reader and reseller roles; container ACLs come on top of it (auth.ts). */
import type { PolicyRule } from '../http/policy.ts'

const READS = ['head', 'get']
const rule = (name: string, check: string, operation: string): PolicyRule => ({ name, check, operations: [operation] })

export const policies: PolicyRule[] = [
  { name: 'swift:reseller', check: 'role:ResellerAdmin', operations: ['every account'] },
  { name: 'swift:operator', check: 'rule:swift:reseller or ((role:admin or role:member or role:swiftoperator) and project_id:%(project_id)s)' },
  { name: 'swift:reader', check: 'rule:swift:operator or (role:reader and project_id:%(project_id)s)' },
  ...(['account', 'container', 'object'] as const).flatMap((level) =>
    ['head', 'get', 'put', 'post', 'delete', ...(level === 'object' ? ['copy'] : [])].map((method) =>
      rule(`swift:${level}:${method}`, READS.includes(method) ? 'rule:swift:reader' : 'rule:swift:operator', `${method.toUpperCase()} /v1/{account}${level === 'account' ? '' : level === 'container' ? '/{container}' : '/{container}/{object}'}`))),
  { name: 'swift:account_quota', check: 'rule:swift:reseller', operations: ['POST /v1/{account} with X-Account-Meta-Quota-Bytes'] },
]
