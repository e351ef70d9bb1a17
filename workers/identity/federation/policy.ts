/** Rules of federation: administrators configure it, a system reader sees it. How a protocol verifies tokens is the administrator's alone. */
import type { PolicyRule } from '../../http/policy.ts'

const READ = 'role:admin or (role:reader and system_scope:all)'
const KINDS: [string, string][] = [['identity_provider', 'identity_providers'], ['protocol', 'protocols'], ['mapping', 'mappings'], ['service_provider', 'service_providers']]

export const federationPolicies: PolicyRule[] = [
  ...KINDS.flatMap(([one, many]): PolicyRule[] => [
    { name: `identity:get_${one}`, check: READ },
    { name: `identity:list_${many}`, check: READ },
    ...['create', 'update', 'delete'].map((verb) => ({ name: `identity:${verb}_${one}`, check: 'role:admin' })),
  ]),
  { name: 'identity:get_protocol_oidc', check: 'role:admin', operations: ['GET /v3/OS-FEDERATION/identity_providers/{idp}/protocols/{protocol}/oidc'] },
  { name: 'identity:update_protocol_oidc', check: 'role:admin', operations: ['PUT and DELETE /v3/OS-FEDERATION/identity_providers/{idp}/protocols/{protocol}/oidc'] },
]
