/** Nova's old doors to Neutron's security groups (up to 2.35), and the groups of one server, which stayed. */
import * as v from 'valibot'
import type { SecurityGroupRuleRow } from '../../../schema/project/network.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { reply, route } from '../../http/route.ts'
import type { SecurityGroupRecord } from '../../network/security-groups/store.ts'
import { wrap } from '../common/schemas.ts'
import { decoded } from '../common/texts.ts'
import { onServer } from '../servers/access.ts'

const P = 'os_compute_api:os-security-groups'
const verbs = ['get', 'show', 'create', 'update', 'delete', 'rule:create', 'rule:delete']
export const securityGroupProxyPolicies: PolicyRule[] = verbs.map((verb) => ({ name: `${P}:${verb}`, check: verb === 'get' || verb === 'show' ? 'rule:project_reader_or_admin' : 'rule:project_member_or_admin', operations: [`/os-security-groups (${verb})`] }))

const OLD: readonly [number, number] = [1, 35]
const label = v.pipe(v.string('must be text'), v.check((text) => text.trim() !== '', 'must not be empty'), v.maxLength(255, 'is too long: at most 255 characters'))
const groupBody = wrap('security_group', v.strictObject({ name: label, description: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(255)))) }))
const port = v.optional(v.nullable(v.union([v.number(), v.string()])))
const ruleBody = wrap('security_group_rule', v.looseObject({ parent_group_id: v.optional(v.union([v.string(), v.number()])), group_id: v.optional(v.nullable(v.string())), ip_protocol: v.optional(v.nullable(v.string())), from_port: port, to_port: port, cidr: v.optional(v.nullable(v.string())) }))

const ANY: Record<string, string> = { IPv4: '0.0.0.0/0', IPv6: '::/0' }

function ruleView(rule: SecurityGroupRuleRow, groups: readonly SecurityGroupRecord[], projectId: string) {
  const remote = groups.find((group) => group.row.id === rule.remote_group_id)
  const open = rule.protocol !== null && rule.port_range_min === null
  const all = rule.protocol === 'tcp' || rule.protocol === 'udp' ? [1, 65_535] : [-1, -1]
  return {
    id: rule.id, parent_group_id: rule.security_group_id, ip_protocol: rule.protocol, from_port: open ? all[0] : rule.port_range_min, to_port: open ? all[1] : rule.port_range_max,
    group: remote === undefined ? {} : { name: remote.row.name, tenant_id: projectId }, ip_range: rule.remote_group_id !== null ? {} : { cidr: rule.remote_ip_prefix ?? ANY[rule.ethertype] ?? '0.0.0.0/0' },
  }
}

const groupView = (record: SecurityGroupRecord, groups: readonly SecurityGroupRecord[], projectId: string) => ({
  id: record.row.id, name: record.row.name, description: record.row.description ?? '', tenant_id: projectId, rules: record.rules.filter((rule) => rule.direction === 'ingress').map((rule) => ruleView(rule, groups, projectId)),
})

const listOf = (ctx: Context): Promise<SecurityGroupRecord[]> => ctx.project.network.securityGroups.list(true)

async function one(ctx: Context): Promise<{ record: SecurityGroupRecord; groups: SecurityGroupRecord[] }> {
  const id = decoded(ctx.params.id)
  const groups = await listOf(ctx)
  const record = groups.find((group) => group.row.id === id)
  if (record === undefined) throw new Fault('not_found', `Security group ${id} not found`)
  return { record, groups }
}

/** Neutron's conflicts (a default group, one in use, a rule twice) are Nova's 400; its quota 403. */
async function worded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (isFault(error, 'over_quota')) throw new Fault('over_quota', error.message, { status: 403 })
    if (isFault(error, 'conflict')) throw new Fault('bad_request', error.message)
    throw error
  }
}

const numberOf = (value: string | number | null | undefined): number | null => (value === null || value === undefined || value === '' ? null : Number(value))

async function createRule(ctx: Context<v.InferOutput<typeof ruleBody>>) {
  const given = ctx.body.security_group_rule
  const parent = String(given.parent_group_id ?? '')
  const groups = await listOf(ctx)
  if (!/^[0-9a-f-]{32,36}$/i.test(parent)) throw new Fault('bad_request', 'Security group id should be uuid')
  if (!groups.some((group) => group.row.id === parent)) throw new Fault('not_found', `Security group ${parent} not found`)
  if (given.group_id != null && !groups.some((group) => group.row.id === given.group_id)) throw new Fault(/^[0-9a-f-]{32,36}$/i.test(given.group_id) ? 'not_found' : 'bad_request', `Security group ${given.group_id} not found`)
  const [from, to] = [numberOf(given.from_port), numberOf(given.to_port)]
  if ([from, to].some((value) => value !== null && (!Number.isInteger(value) || value < -1 || value > 65_535)) || (from !== null && to !== null && from > to)) throw new Fault('bad_request', `Invalid port range ${given.from_port}:${given.to_port}. Valid TCP ports should be between 1-65535`)
  const protocol = given.ip_protocol?.toLowerCase() ?? null
  if (protocol === null && given.group_id == null) throw new Fault('bad_request', 'Invalid input: ip_protocol is required where no group is given.')
  if (protocol !== null && !['tcp', 'udp', 'icmp'].includes(protocol)) throw new Fault('bad_request', `Invalid IP protocol ${given.ip_protocol}.`)
  const ports = protocol === 'icmp' && from === -1 ? { port_range_min: null, port_range_max: null } : { port_range_min: from === -1 ? null : from, port_range_max: to === -1 ? null : to }
  const cidr = given.cidr ?? null
  if (cidr !== null && !/^[0-9a-fA-F:.]+\/\d{1,3}$/.test(cidr)) throw new Fault('bad_request', `Invalid cidr ${cidr}.`)
  const wanted = { security_group_id: parent, direction: 'ingress', ethertype: cidr?.includes(':') ? 'IPv6' : 'IPv4', protocol, ...ports, remote_ip_prefix: given.group_id != null ? null : cidr === '0.0.0.0/0' || cidr === null ? '0.0.0.0/0' : cidr, remote_group_id: given.group_id ?? null, description: '' }
  const [rule] = await worded(ctx.project.network.securityGroups.createRules([wanted as never]))
  if (rule === undefined) throw new Fault('internal', 'No rule was made.')
  return { security_group_rule: ruleView(rule, groups, ctx.projectId) }
}

export const securityGroupProxyRoutes = [
  route({
    method: 'GET', path: '/v2.1/os-security-groups', policy: `${P}:get`, versions: OLD,
    handle: async (ctx) => {
      const everywhere = ctx.query.get('all_tenants') !== null && ctx.allows('admin')
      if (!everywhere) {
        const groups = await listOf(ctx)
        return { security_groups: groups.map((group) => groupView(group, groups, ctx.projectId)) }
      }
      const views = await Promise.all((await ctx.region.directory.projects()).map(async (id) => {
        const groups: SecurityGroupRecord[] = await ctx.projectById(id).network.securityGroups.list(false)
        return groups.map((group) => groupView(group, groups, id))
      }))
      return { security_groups: views.flat() }
    },
  }),
  route({
    method: 'POST', path: '/v2.1/os-security-groups', policy: `${P}:create`, versions: OLD, body: groupBody,
    handle: async (ctx) => {
      const given = ctx.body.security_group
      const [made] = await worded(ctx.project.network.securityGroups.createMany([{ name: given.name, description: given.description ?? '' } as never]))
      if (made === undefined) throw new Fault('internal', 'No group was made.')
      return { security_group: groupView(made, [made], ctx.projectId) }
    },
  }),
  route({
    method: 'GET', path: '/v2.1/os-security-groups/:id', policy: `${P}:show`, versions: OLD,
    handle: async (ctx) => {
      const { record, groups } = await one(ctx)
      return { security_group: groupView(record, groups, ctx.projectId) }
    },
  }),
  route({
    method: 'PUT', path: '/v2.1/os-security-groups/:id', policy: `${P}:update`, versions: OLD, body: groupBody,
    handle: async (ctx) => {
      const { record, groups } = await one(ctx)
      if (record.row.is_default) throw new Fault('bad_request', 'Unable to update system group default')
      const given = ctx.body.security_group
      const changed = await worded(ctx.project.network.securityGroups.update(record.row.id, { name: given.name, description: given.description ?? '' } as never, null))
      return { security_group: groupView(changed, groups, ctx.projectId) }
    },
  }),
  route({
    method: 'DELETE', path: '/v2.1/os-security-groups/:id', policy: `${P}:delete`, versions: OLD,
    handle: async (ctx) => {
      const { record } = await one(ctx)
      if (record.row.is_default) throw new Fault('bad_request', 'Unable to delete system group default')
      await worded(ctx.project.network.securityGroups.remove(record.row.id, null))
      return reply({ status: 202 })
    },
  }),
  route({ method: 'POST', path: '/v2.1/os-security-group-rules', policy: `${P}:rule:create`, versions: OLD, body: ruleBody, handle: createRule }),
  route({
    method: 'DELETE', path: '/v2.1/os-security-group-rules/:id', policy: `${P}:rule:delete`, versions: OLD,
    handle: async (ctx) => {
      const id = decoded(ctx.params.id)
      const known = (await listOf(ctx)).some((group) => group.rules.some((rule) => rule.id === id))
      if (!known) throw new Fault('not_found', `Security group rule ${id} not found`)
      await ctx.project.network.securityGroups.removeRule(id)
      return reply({ status: 202 })
    },
  }),
  route({
    method: 'GET', path: '/v2.1/servers/:id/os-security-groups', policy: `${P}:list`,
    handle: (ctx) => onServer(ctx, `${P}:list`, async (project, id) => {
      const [mine, record] = await Promise.all([project.compute.interfaces.securityGroups(id), project.compute.servers.get(id)])
      const groups: SecurityGroupRecord[] = await project.network.securityGroups.list(false)
      const ids = new Set(mine.map((group) => group.id))
      return { security_groups: groups.filter((group) => ids.has(group.row.id)).map((group) => groupView(group, groups, record.project_id)) }
    }),
  }),
]
