/** Floating IPs: addresses of the outside, pointed at servers. */
import { call, get, post, remove } from '../api/client.ts'
import { Listing } from '../components/listing.tsx'
import { Status } from '../components/show.tsx'
import { nameOr } from '../components/text.ts'
import { externalChoices } from './networks.tsx'
import type { Server } from './servers.tsx'

const V = '/network/v2.0'

interface FloatingIp {
  id: string
  floating_ip_address: string
  fixed_ip_address: string | null
  port_id: string | null
  status: string
}

interface Port {
  id: string
  device_id: string
  device_owner: string
  fixed_ips: { ip_address: string }[]
}

async function portChoices() {
  const [{ ports }, { servers }] = await Promise.all([get<{ ports: Port[] }>(`${V}/ports`), get<{ servers: Server[] }>('/compute/v2.1/servers/detail')])
  const names = new Map(servers.map((server) => [server.id, server.name]))
  return ports.filter((port) => port.device_owner.startsWith('compute:')).map((port) => ({ value: port.id, label: `${nameOr(names.get(port.device_id), port.device_id)} ${port.fixed_ips[0]?.ip_address ?? ''}`.trim() }))
}

const point = (id: string, port_id: string | null) => call('PUT', `${V}/floatingips/${id}`, { json: { floatingip: { port_id } } })

export const FloatingIps = () => (
  <Listing<FloatingIp>
    title="Floating IPs"
    load={async () => (await get<{ floatingips: FloatingIp[] }>(`${V}/floatingips`)).floatingips}
    idOf={(address) => address.id}
    nameOf={(address) => address.floating_ip_address}
    refresh_ms={10_000}
    columns={[
      { title: 'Address', cell: (address) => address.floating_ip_address },
      { title: 'Status', cell: (address) => <Status value={address.status} /> },
      { title: 'Points at', cell: (address) => address.fixed_ip_address ?? '–' },
    ]}
    deeds={[
      { label: 'Associate', when: (address) => address.port_id === null, fields: async () => [{ name: 'port', label: 'Server', type: 'select', choices: await portChoices() }], run: (address, values) => point(address.id, values.text('port')) },
      { label: 'Disassociate', when: (address) => address.port_id !== null, run: (address) => point(address.id, null) },
      { label: 'Release', grave: true, run: (address) => remove(`${V}/floatingips/${address.id}`) },
    ]}
    making={{
      label: 'Allocate address',
      fields: async () => [{ name: 'network', label: 'From network', type: 'select', choices: await externalChoices() }],
      run: (values) => post(`${V}/floatingips`, { floatingip: { floating_network_id: values.text('network') } }),
    }}
  />
)
