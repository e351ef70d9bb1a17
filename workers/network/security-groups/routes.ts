/** /v2.0/security-groups and /v2.0/security-group-rules */
import type { SecurityGroupRuleRow } from '../../../schema/project/network.ts'
import { collectionPolicies } from '../api/attributes.ts'
import { collection } from '../api/collection.ts'
import { findOne, gather } from '../api/gather.ts'
import type { View } from '../api/query.ts'
import { stampView, standardView } from '../api/standard.ts'
import { badRequest } from '../faults.ts'
import { byProject } from '../networks/routes.ts'
import { securityGroupAttributes, securityGroupRuleAttributes } from './requests.ts'
import type { SecurityGroupRecord } from './store.ts'

export const securityGroupPolicies = [...collectionPolicies('security_group', securityGroupAttributes), ...collectionPolicies('security_group_rule', securityGroupRuleAttributes)]

const ruleView = (row: SecurityGroupRuleRow, project_id: string): View => ({
  id: row.id, ...stampView(row, project_id), security_group_id: row.security_group_id, direction: row.direction, ethertype: row.ethertype, protocol: row.protocol, port_range_min: row.port_range_min,
  port_range_max: row.port_range_max, remote_ip_prefix: row.remote_ip_prefix, remote_group_id: row.remote_group_id, remote_address_group_id: null, normalized_cidr: row.remote_ip_prefix,
})

const groupView = ({ row, rules }: SecurityGroupRecord, project_id: string): View => ({
  ...standardView(row, project_id), stateful: row.stateful, shared: false, security_group_rules: rules.map((rule) => ruleView(rule, project_id)),
})

export const securityGroupRoutes = [
  ...collection({
    name: 'security_group', plural: 'security_groups', attributes: securityGroupAttributes,
    list: async (ctx) => {
      const found = await gather(ctx, (project, id) => project.network.securityGroups.list(id === ctx.caller.project_id))
      return found.map(({ project_id, row }) => groupView(row, project_id))
    },
    show: async (ctx, id) => {
      const { project_id, row } = await findOne(ctx, id, (project) => project.network.securityGroups.get(id))
      return groupView(row, project_id)
    },
    create: async (ctx, wanted) => {
      const views: View[] = []
      for (const [project_id, group] of byProject(wanted)) views.push(...(await ctx.projectById(project_id).network.securityGroups.createMany(group.map((one) => one.given))).map((record) => groupView(record, project_id)))
      return views
    },
    update: async (ctx, id, given, revision) => {
      const { project_id, row } = await findOne(ctx, id, (project) => project.network.securityGroups.update(id, given, revision))
      return groupView(row, project_id)
    },
    remove: async (ctx, id, revision) => void (await findOne(ctx, id, (project) => project.network.securityGroups.remove(id, revision))),
  }),
  ...collection({
    name: 'security_group_rule', plural: 'security_group_rules', attributes: securityGroupRuleAttributes,
    list: async (ctx) => {
      const groups = ctx.url.searchParams.getAll('security_group_id')
      const found = await gather(ctx, (project, id) => project.network.securityGroups.listRules(id === ctx.caller.project_id, groups.length > 0 ? groups : null))
      return found.map(({ project_id, row }) => ruleView(row, project_id))
    },
    show: async (ctx, id) => {
      const { project_id, row } = await findOne(ctx, id, (project) => project.network.securityGroups.getRule(id))
      return ruleView(row, project_id)
    },
    create: async (ctx, wanted) => {
      const [first] = wanted
      if (wanted.some((one) => one.given.security_group_id !== first?.given.security_group_id)) throw badRequest('Only allowed to update rules for one security profile at a time')
      const { project_id, row: rows } = await findOne(ctx, first?.given.security_group_id ?? '', (project) => project.network.securityGroups.createRules(wanted.map((one) => one.given)))
      return rows.map((row) => ruleView(row, project_id))
    },
    remove: async (ctx, id) => void (await findOne(ctx, id, (project) => project.network.securityGroups.removeRule(id))),
  }),
]
