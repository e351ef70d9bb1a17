/** Rules of tokens and of what a token's holder may list about itself. */
import type { PolicyRule } from '../../http/policy.ts'

export const tokenPolicies: PolicyRule[] = [
  { name: 'identity:validate_token', check: 'role:admin or (role:reader and system_scope:all) or role:service or user_id:%(target.token.user_id)s', operations: ['GET /v3/auth/tokens'] },
  { name: 'identity:check_token', check: 'role:admin or (role:reader and system_scope:all) or role:service or user_id:%(target.token.user_id)s', operations: ['HEAD /v3/auth/tokens'] },
  { name: 'identity:revoke_token', check: 'role:admin or role:service or user_id:%(target.token.user_id)s', operations: ['DELETE /v3/auth/tokens'] },
]
