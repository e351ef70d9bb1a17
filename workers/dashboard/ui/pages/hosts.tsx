/** For administrators: the machines of the cloud, and what runs on them. */
import { call, get } from '../api/client.ts'
import { Listing } from '../components/listing.tsx'
import { Status, Time } from '../components/show.tsx'

interface Host {
  id: string
  name: string
  up: boolean
  seen_at: string | null
  availability_zone: string
  disabled: boolean
  facts: { roles: string[]; simulated: boolean; agent_version: string } | null
}

interface Hypervisor {
  id: string
  hypervisor_hostname: string
  state: string
  status: string
  vcpus: number
  vcpus_used: number
  memory_mb: number
  memory_mb_used: number
  running_vms: number
}

const enable = (host: Host, disabled: boolean) => call('PATCH', `/agents/v1/hosts/${host.id}`, { json: { disabled } })

export const Hosts = () => (
  <Listing<Host>
    title="Hosts"
    load={async () => (await get<{ hosts: Host[] }>('/agents/v1/hosts')).hosts}
    idOf={(host) => host.id}
    nameOf={(host) => host.name}
    refresh_ms={5_000}
    columns={[
      { title: 'Name', cell: (host) => host.name },
      { title: 'State', cell: (host) => <Status value={host.up ? 'up' : 'down'} /> },
      { title: 'Servers are placed', cell: (host) => host.disabled ? 'no' : 'yes' },
      { title: 'Zone', cell: (host) => host.availability_zone },
      { title: 'Roles', cell: (host) => [...(host.facts?.roles ?? []), ...(host.facts?.simulated ? ['simulated'] : [])].join(', ') },
      { title: 'Agent', cell: (host) => host.facts?.agent_version ?? '–' },
      { title: 'Seen', cell: (host) => <Time value={host.seen_at} /> },
    ]}
    deeds={[{ label: 'Disable', when: (host) => !host.disabled, run: (host) => enable(host, true) }, { label: 'Enable', when: (host) => host.disabled, run: (host) => enable(host, false) }]}
  />
)

export const Hypervisors = () => (
  <Listing<Hypervisor>
    title="Hypervisors"
    // The figures left this answer with 2.88.
    load={async () => (await call<{ hypervisors: Hypervisor[] }>('GET', '/compute/v2.1/os-hypervisors/detail', { headers: { 'openstack-api-version': 'compute 2.87' } })).hypervisors}
    idOf={(hypervisor) => hypervisor.id}
    nameOf={(hypervisor) => hypervisor.hypervisor_hostname}
    refresh_ms={5_000}
    columns={[
      { title: 'Name', cell: (hypervisor) => hypervisor.hypervisor_hostname },
      { title: 'State', cell: (hypervisor) => <Status value={hypervisor.state} /> },
      { title: 'Service', cell: (hypervisor) => hypervisor.status },
      { title: 'Servers', numeric: true, cell: (hypervisor) => hypervisor.running_vms },
      { title: 'Processors', numeric: true, cell: (hypervisor) => `${hypervisor.vcpus_used} of ${hypervisor.vcpus}` },
      { title: 'Memory, MiB', numeric: true, cell: (hypervisor) => `${hypervisor.memory_mb_used} of ${hypervisor.memory_mb}` },
    ]}
  />
)
