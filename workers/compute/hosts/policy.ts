/** Policy of services, hypervisors, zones and hosts. */
import type { PolicyRule } from '../../http/policy.ts'

const admin = (name: string, operation: string): PolicyRule => ({ name: `os_compute_api:${name}`, check: 'rule:admin', operations: [operation] })
export const hostPolicies: PolicyRule[] = [
  admin('os-services:list', 'GET /os-services'), admin('os-services:update', 'PUT /os-services/{id}'), admin('os-services:delete', 'DELETE /os-services/{id}'),
  admin('os-hypervisors:list', 'GET /os-hypervisors'), admin('os-hypervisors:list-detail', 'GET /os-hypervisors/detail'), admin('os-hypervisors:statistics', 'GET /os-hypervisors/statistics'),
  admin('os-hypervisors:show', 'GET /os-hypervisors/{id}'), admin('os-hypervisors:uptime', 'GET /os-hypervisors/{id}/uptime'), admin('os-hypervisors:search', 'GET /os-hypervisors/{pattern}/search'),
  admin('os-hypervisors:servers', 'GET /os-hypervisors/{pattern}/servers'), admin('os-hosts:list', 'GET /os-hosts'), admin('os-hosts:show', 'GET /os-hosts/{name}'), admin('os-hosts:update', 'PUT /os-hosts/{name}'),
  { name: 'os_compute_api:os-availability-zone:list', check: '@', operations: ['GET /os-availability-zone'] }, admin('os-availability-zone:detail', 'GET /os-availability-zone/detail'),
]
