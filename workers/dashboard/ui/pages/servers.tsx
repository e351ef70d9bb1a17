/** Servers: the list, making one, and what can be done with each. */
import { get, post, remove } from '../api/client.ts'
import { pageUrl } from '../consoles/address.ts'
import type { Choice, Field, Values } from '../components/form.tsx'
import type { Deed } from '../components/deeds.tsx'
import { Listing } from '../components/listing.tsx'
import { Id, Link, Status, Time } from '../components/show.tsx'
import { nameOr } from '../components/text.ts'

export interface Server {
  id: string
  name: string
  status: string
  created: string
  'OS-EXT-STS:task_state': string | null
  flavor: { original_name: string; vcpus: number; ram: number; disk: number }
  image: { id: string } | ''
  key_name: string | null
  addresses: Record<string, { addr: string; 'OS-EXT-IPS:type': string }[]>
  fault?: { message: string }
}

/** A console is opened in a page of its own, with a token for this one time. */
export async function openConsole(id: string, kind: 'vnc' | 'serial'): Promise<void> {
  const { remote_console } = await post<{ remote_console: { url: string } }>(`/compute/v2.1/servers/${id}/remote-consoles`, { remote_console: { protocol: kind, type: kind === 'vnc' ? 'novnc' : 'serial' } })
  const url = pageUrl(location.origin, remote_console.url)
  if (url === null) throw new Error('The console’s address is not one of this cloud.')
  // Not the address of another origin, should the cloud have two: the token would be refused there.
  window.open(url, '_blank', 'noopener,noreferrer')
}

const act = (id: string, body: unknown) => post(`/compute/v2.1/servers/${id}/action`, body)
const is = (...statuses: string[]) => (server: Server) => statuses.includes(server.status) && server['OS-EXT-STS:task_state'] === null

export const serverDeeds: Deed<Server>[] = [
  { label: 'Console', when: (server) => ['ACTIVE', 'PAUSED'].includes(server.status), run: (server) => openConsole(server.id, 'vnc') },
  { label: 'Start', when: is('SHUTOFF'), run: (server) => act(server.id, { 'os-start': null }) },
  { label: 'Stop', when: is('ACTIVE'), run: (server) => act(server.id, { 'os-stop': null }) },
  { label: 'Reboot', when: is('ACTIVE', 'SHUTOFF'), run: (server) => act(server.id, { reboot: { type: server.status === 'ACTIVE' ? 'SOFT' : 'HARD' } }) },
  { label: 'Delete', grave: true, run: (server) => remove(`/compute/v2.1/servers/${server.id}`) },
]

async function fields(): Promise<Field[]> {
  const [{ images }, { flavors }, { networks }, { keypairs }] = await Promise.all([
    get<{ images: { id: string; name: string; min_ram: number }[] }>('/image/v2/images?status=active&sort=name:asc'), get<{ flavors: { id: string; name: string; vcpus: number; ram: number; disk: number }[] }>('/compute/v2.1/flavors/detail'),
    get<{ networks: { id: string; name: string }[] }>('/network/v2.0/networks?router:external=false'), get<{ keypairs: { keypair: { name: string } }[] }>('/compute/v2.1/os-keypairs'),
  ])
  const none: Choice = { value: '', label: '(none)' }
  return [
    { name: 'name', label: 'Name' },
    { name: 'image', label: 'Image', type: 'select', choices: images.map(({ id, name }) => ({ value: id, label: nameOr(name, id) })) },
    { name: 'flavor', label: 'Flavor', type: 'select', choices: flavors.map(({ id, name, vcpus, ram, disk }) => ({ value: id, label: `${name}: ${vcpus} CPU, ${ram} MiB, ${disk} GiB` })) },
    { name: 'network', label: 'Network', type: 'select', optional: true, choices: [...networks.map(({ id, name }) => ({ value: id, label: nameOr(name, id) })), none] },
    { name: 'key', label: 'Key pair', type: 'select', optional: true, choices: [none, ...keypairs.map(({ keypair }) => ({ value: keypair.name, label: keypair.name }))] },
    { name: 'data', label: 'User data', type: 'textarea', optional: true, hint: 'A script, or cloud-config, that the server runs at its first start.' },
  ]
}

function create(values: Values): Promise<unknown> {
  const data = values.text('data')
  return post('/compute/v2.1/servers', {
    server: {
      name: values.text('name'), imageRef: values.text('image'), flavorRef: values.text('flavor'), networks: values.text('network') === '' ? 'none' : [{ uuid: values.text('network') }],
      ...(values.text('key') === '' ? {} : { key_name: values.text('key') }), ...(data === '' ? {} : { user_data: btoa(String.fromCharCode(...new TextEncoder().encode(data))) }),
    },
  })
}

export const addressesOf = (server: Server): string[] => Object.values(server.addresses).flat().map(({ addr }) => addr)

export const Servers = () => (
  <Listing<Server>
    title="Servers"
    load={async () => (await get<{ servers: Server[] }>('/compute/v2.1/servers/detail')).servers}
    idOf={(server) => server.id}
    nameOf={(server) => server.name}
    refresh_ms={3_000}
    columns={[
      { title: 'Name', cell: (server) => <Link to={`/servers/${server.id}`}>{server.name}</Link> },
      { title: 'Id', cell: (server) => <Id value={server.id} /> },
      { title: 'Status', cell: (server) => <><Status value={server.status} />{server['OS-EXT-STS:task_state'] !== null && <small> {server['OS-EXT-STS:task_state']}</small>}</> },
      { title: 'Addresses', cell: (server) => addressesOf(server).join(', ') },
      { title: 'Flavor', cell: (server) => server.flavor.original_name },
      { title: 'Created', cell: (server) => <Time value={server.created} /> },
    ]}
    deeds={serverDeeds}
    making={{ label: 'Create server', fields, run: create }}
  />
)
