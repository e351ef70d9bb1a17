/** Policies of the agents service: hosts prove themselves by signature; the rest is for administrators. */
import type { PolicyRule } from '../http/policy.ts'

export const policies: PolicyRule[] = [
  { name: 'skyhook:hosts:list', check: 'role:admin', operations: ['GET /agents/v1/hosts'] },
  { name: 'skyhook:hosts:update', check: 'role:admin', operations: ['PATCH /agents/v1/hosts/{id}'] },
  { name: 'skyhook:join_tokens:create', check: 'role:admin', operations: ['POST /agents/v1/join-tokens'] },
  { name: 'skyhook:rings:get', check: 'role:admin', operations: ['GET /agents/v1/rings/{policy}'] },
  { name: 'skyhook:rings:update', check: 'role:admin', operations: ['PATCH /agents/v1/rings/{policy}', 'POST /agents/v1/rings/{policy}/rebalance', 'PATCH /agents/v1/rings/{policy}/devices/{id}', 'POST /agents/v1/object-services/run'] },
  { name: 'skyhook:verify', check: 'role:admin', operations: ['GET /agents/v1/verify'] },
]
