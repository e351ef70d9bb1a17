/** Networks with their subnets, and routers between them. */
import { call, get, post, remove } from '../api/client.ts'
import type { Values } from '../components/form.tsx'
import { Listing } from '../components/listing.tsx'
import { Id, Status } from '../components/show.tsx'
import { nameOr } from '../components/text.ts'
import { session } from '../api/session.ts'

const V = '/network/v2.0'

export interface Network {
  id: string
  name: string
  status: string
  shared: boolean
  project_id: string
  'router:external': boolean
  subnets: string[]
}

interface Subnet {
  id: string
  name: string
  cidr: string
  network_id: string
}

interface Router {
  id: string
  name: string
  status: string
  external_gateway_info: { network_id: string; external_fixed_ips: { ip_address: string }[] } | null
}

const mine = (row: { project_id: string }) => row.project_id === session()?.project?.id
const subnetChoices = async () => (await get<{ subnets: Subnet[] }>(`${V}/subnets`)).subnets.map(({ id, name, cidr }) => ({ value: id, label: `${name} ${cidr}`.trim() }))
export const externalChoices = async () => (await get<{ networks: Network[] }>(`${V}/networks?router:external=true`)).networks.map(({ id, name }) => ({ value: id, label: nameOr(name, id) }))

async function createNetwork(values: Values): Promise<void> {
  const { network } = await post<{ network: Network }>(`${V}/networks`, { network: { name: values.text('name') } })
  const cidr = values.text('cidr')
  if (cidr === '') return
  try {
    await post(`${V}/subnets`, { subnet: { network_id: network.id, name: values.text('name'), cidr, ip_version: cidr.includes(':') ? 6 : 4 } })
  } catch (error) {
    // A network that was to have a subnet and has none is not what was asked for.
    await remove(`${V}/networks/${network.id}`)
    throw error
  }
}

async function loadNetworks(): Promise<(Network & { cidrs: string[] })[]> {
  const [{ networks }, { subnets }] = await Promise.all([get<{ networks: Network[] }>(`${V}/networks`), get<{ subnets: Subnet[] }>(`${V}/subnets`)])
  return networks.map((network) => ({ ...network, cidrs: subnets.filter((subnet) => subnet.network_id === network.id).map(({ cidr }) => cidr) }))
}

export const Networks = () => (
  <Listing<Network & { cidrs: string[] }>
    title="Networks"
    load={loadNetworks}
    idOf={(network) => network.id}
    nameOf={(network) => nameOr(network.name, network.id)}
    refresh_ms={10_000}
    columns={[
      { title: 'Name', cell: (network) => nameOr(network.name, network.id) },
      { title: 'Id', cell: (network) => <Id value={network.id} /> },
      { title: 'Status', cell: (network) => <Status value={network.status} /> },
      { title: 'Subnets', cell: (network) => network.cidrs.join(', ') || '–' },
      { title: 'Kind', cell: (network) => [network['router:external'] ? 'external' : '', network.shared ? 'shared' : ''].filter((word) => word !== '').join(', ') || 'own' },
    ]}
    deeds={[
      {
        label: 'Add subnet', when: mine, fields: async () => [{ name: 'cidr', label: 'CIDR', value: '10.0.1.0/24' }, { name: 'name', label: 'Name', optional: true }],
        run: (network, values) => post(`${V}/subnets`, { subnet: { network_id: network.id, name: values.text('name'), cidr: values.text('cidr'), ip_version: values.text('cidr').includes(':') ? 6 : 4 } }),
      },
      { label: 'Delete', grave: true, when: mine, run: (network) => remove(`${V}/networks/${network.id}`) },
    ]}
    making={{ label: 'Create network', fields: async () => [{ name: 'name', label: 'Name' }, { name: 'cidr', label: 'Subnet, CIDR', optional: true, value: '10.0.0.0/24' }], run: createNetwork }}
  />
)

export const Routers = () => (
  <Listing<Router>
    title="Routers"
    load={async () => (await get<{ routers: Router[] }>(`${V}/routers`)).routers}
    idOf={(router) => router.id}
    nameOf={(router) => nameOr(router.name, router.id)}
    refresh_ms={10_000}
    columns={[
      { title: 'Name', cell: (router) => nameOr(router.name, router.id) },
      { title: 'Id', cell: (router) => <Id value={router.id} /> },
      { title: 'Status', cell: (router) => <Status value={router.status} /> },
      { title: 'Outside address', cell: (router) => router.external_gateway_info?.external_fixed_ips.map(({ ip_address }) => ip_address).join(', ') ?? '–' },
    ]}
    deeds={[
      { label: 'Connect', fields: async () => [{ name: 'subnet', label: 'Subnet', type: 'select', choices: await subnetChoices() }], run: (router, values) => call('PUT', `${V}/routers/${router.id}/add_router_interface`, { json: { subnet_id: values.text('subnet') } }) },
      { label: 'Disconnect', fields: async () => [{ name: 'subnet', label: 'Subnet', type: 'select', choices: await subnetChoices() }], run: (router, values) => call('PUT', `${V}/routers/${router.id}/remove_router_interface`, { json: { subnet_id: values.text('subnet') } }) },
      { label: 'Delete', grave: true, run: (router) => remove(`${V}/routers/${router.id}`) },
    ]}
    making={{
      label: 'Create router',
      fields: async () => [{ name: 'name', label: 'Name' }, { name: 'external', label: 'Outside network', type: 'select', optional: true, choices: [{ value: '', label: '(none)' }, ...(await externalChoices())] }],
      run: (values) => post(`${V}/routers`, { router: { name: values.text('name'), ...(values.text('external') === '' ? {} : { external_gateway_info: { network_id: values.text('external') } }) } }),
    }}
  />
)
