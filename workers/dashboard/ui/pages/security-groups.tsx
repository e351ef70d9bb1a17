/** Security groups, and the rules of one. */
import { get, post, remove } from '../api/client.ts'
import type { Values } from '../components/form.tsx'
import { Listing } from '../components/listing.tsx'
import { Id, Link } from '../components/show.tsx'
import { nameOr } from '../components/text.ts'

const V = '/network/v2.0'

interface Rule {
  id: string
  direction: string
  ethertype: string
  protocol: string | null
  port_range_min: number | null
  port_range_max: number | null
  remote_ip_prefix: string | null
  remote_group_id: string | null
}

interface Group {
  id: string
  name: string
  description: string
  security_group_rules: Rule[]
}

export const SecurityGroups = () => (
  <Listing<Group>
    title="Security groups"
    load={async () => (await get<{ security_groups: Group[] }>(`${V}/security-groups`)).security_groups}
    idOf={(group) => group.id}
    nameOf={(group) => nameOr(group.name, group.id)}
    columns={[
      { title: 'Name', cell: (group) => <Link to={`/security-groups/${group.id}`}>{nameOr(group.name, group.id)}</Link> },
      { title: 'Id', cell: (group) => <Id value={group.id} /> },
      { title: 'Description', cell: (group) => group.description },
      { title: 'Rules', numeric: true, cell: (group) => group.security_group_rules.length },
    ]}
    deeds={[{ label: 'Delete', grave: true, when: (group) => group.name !== 'default', run: (group) => remove(`${V}/security-groups/${group.id}`) }]}
    making={{
      label: 'Create group',
      fields: async () => [{ name: 'name', label: 'Name' }, { name: 'description', label: 'Description', optional: true }],
      run: (values) => post(`${V}/security-groups`, { security_group: { name: values.text('name'), description: values.text('description') } }),
    }}
  />
)

const portsOf = ({ protocol, port_range_min: min, port_range_max: max }: Rule) => min === null ? 'all' : protocol?.includes('icmp') ? `type ${min}` : min === max ? String(min) : `${min}–${max}`
const choices = (...values: string[]) => values.map((value) => ({ value, label: value === '' ? 'any' : value }))

function addRule(group: string, values: Values): Promise<unknown> {
  const [from, to] = [values.text('from'), values.text('to')]
  return post(`${V}/security-group-rules`, {
    security_group_rule: {
      security_group_id: group, direction: values.text('direction'), ethertype: values.text('ethertype'), ...(values.text('protocol') === '' ? {} : { protocol: values.text('protocol') }),
      ...(from === '' ? {} : { port_range_min: Number(from), port_range_max: Number(to === '' ? from : to) }), ...(values.text('remote') === '' ? {} : { remote_ip_prefix: values.text('remote') }),
    },
  })
}

export const SecurityGroupRules = ({ id }: { id: string }) => (
  <Listing<Rule>
    title="Rules of the security group"
    name={`rules ${id}`}
    load={async () => (await get<{ security_group: Group }>(`${V}/security-groups/${encodeURIComponent(id)}`)).security_group.security_group_rules}
    idOf={(rule) => rule.id}
    nameOf={(rule) => `${rule.direction} ${rule.protocol ?? 'any'} ${portsOf(rule)}`}
    columns={[
      { title: 'Direction', cell: (rule) => rule.direction },
      { title: 'IP', cell: (rule) => rule.ethertype },
      { title: 'Protocol', cell: (rule) => rule.protocol ?? 'any' },
      { title: 'Ports', cell: portsOf },
      { title: 'Remote', cell: (rule) => rule.remote_ip_prefix ?? (rule.remote_group_id === null ? 'anywhere' : <>group <Id value={rule.remote_group_id} /></>) },
    ]}
    deeds={[{ label: 'Delete', grave: true, run: (rule) => remove(`${V}/security-group-rules/${rule.id}`) }]}
    making={{
      label: 'Add rule',
      fields: async () => [
        { name: 'direction', label: 'Direction', type: 'select', choices: choices('ingress', 'egress') }, { name: 'ethertype', label: 'IP', type: 'select', choices: choices('IPv4', 'IPv6') },
        { name: 'protocol', label: 'Protocol', type: 'select', optional: true, choices: choices('tcp', 'udp', 'icmp', ''), value: 'tcp' },
        { name: 'from', label: 'From port', type: 'number', optional: true, value: '22' }, { name: 'to', label: 'To port', type: 'number', optional: true, hint: 'Empty: that one port.' },
        { name: 'remote', label: 'Remote, CIDR', optional: true, hint: 'Empty: from anywhere.' },
      ],
      run: (values) => addRule(id, values),
    }}
  >
    <p class="trail"><Link to="/security-groups">Security groups</Link></p>
  </Listing>
)
