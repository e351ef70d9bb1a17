/** What a tenant may have of Neutron's resources, and how much it has. DHCP and gateway ports are the plane's, and cost nobody anything. */
import { sql } from 'drizzle-orm'
import type { QuotaSpec } from '../../../durable-objects/project/quota.ts'

export const networkQuota: QuotaSpec = {
  service: 'network',
  defaults: { network: 100, subnet: 100, subnetpool: -1, port: 500, router: 10, floatingip: 50, security_group: 10, security_group_rule: 100, rbac_policy: 10 },
  usage: (db) => db.all<Record<string, number>>(sql`SELECT
    (SELECT COUNT(*) FROM net_networks) AS network, (SELECT COUNT(*) FROM net_subnets) AS subnet, (SELECT COUNT(*) FROM net_subnet_pools) AS subnetpool,
    (SELECT COUNT(*) FROM net_ports WHERE device_owner NOT IN ('network:dhcp', 'network:router_gateway')) AS port, (SELECT COUNT(*) FROM net_routers) AS router,
    (SELECT COUNT(*) FROM net_floating_ips) AS floatingip, (SELECT COUNT(*) FROM net_security_groups) AS security_group,
    (SELECT COUNT(*) FROM net_security_group_rules) AS security_group_rule, (SELECT COUNT(*) FROM net_rbac_policies) AS rbac_policy`)[0] ?? {},
}
