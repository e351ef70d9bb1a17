/**
 * Doors in the cloud's own books: the host is allowed to be one, and the catalog's internal endpoints of the object store (Swift's and S3's) lead there. Said by the administrator, never by
 * the host: whoever stands behind that endpoint is shown every tenant's tokens.
 */
import type { Api } from './api.ts'
import { Problem } from './problem.ts'

interface Host {
  id: string
  name: string
  door_url: string | null
}

interface Endpoint {
  id: string
  interface: string
  url: string
  enabled: boolean
  name?: string
  region_id: string
}

const nameOf = (host: Host): string => `door ${host.name}`

/** `url`: origin of the host's door, null: it has none any more. Idempotent. */
export async function setDoor(api: Api, hostName: string, url: string | null): Promise<void> {
  const { hosts } = (await api.call('GET', '/agents/v1/hosts')) as { hosts: Host[] }
  const host = hosts.find((one) => one.name === hostName || one.id === hostName)
  if (host === undefined) throw new Problem(`there is no host ${hostName} (npx skyhook host list).`)
  if (host.door_url !== url) await api.call('PATCH', `/agents/v1/hosts/${host.id}`, { door_url: url })
  await setEndpoint(api, 'object-store', nameOf(host), url === null ? null : `${url}/object-store/v1/AUTH_%(project_id)s`)
  await setEndpoint(api, 's3', nameOf(host), url === null ? null : `${url}/s3`)
}

async function setEndpoint(api: Api, type: string, name: string, wanted: string | null): Promise<void> {
  const { services } = (await api.call('GET', `/identity/v3/services?type=${type}`)) as { services: { id: string }[] }
  const [service] = services
  if (service === undefined) return
  const list = async () => ((await api.call('GET', `/identity/v3/endpoints?service_id=${service.id}&interface=internal`)) as { endpoints: Endpoint[] }).endpoints
  const before = await list()
  for (const old of before) if (old.name === name && old.url !== wanted) await api.call('DELETE', `/identity/v3/endpoints/${old.id}`)
  if (wanted !== null && !before.some((one) => one.name === name && one.url === wanted)) {
    await api.call('POST', '/identity/v3/endpoints', { endpoint: { service_id: service.id, interface: 'internal', url: wanted, name, ...(before[0] === undefined ? {} : { region_id: before[0].region_id }) } })
  }
  // The plane's own internal endpoint is out of the catalog while there is a door, and back after the last one.
  const now = await list()
  const hasDoor = now.some((one) => one.name?.startsWith('door ') === true)
  for (const own of now) if (own.name?.startsWith('door ') !== true && own.enabled === hasDoor) await api.call('PATCH', `/identity/v3/endpoints/${own.id}`, { endpoint: { enabled: !hasDoor } })
}

/** Doors of the hosts that start with the cloud: simulated ones have them side by side, a port each. */
export async function setDoors(api: Api, hosts: { name: string; simulated: boolean; door_url: string | null }[], door: { address: string; port: number } | null, own: { local: string | null; simulated: number }): Promise<void> {
  for (const host of hosts) {
    const n = /^sim-(\d+)$/.exec(host.name)?.[1]
    const isOwn = host.simulated ? n !== undefined && Number(n) <= own.simulated : host.name === own.local
    if (!isOwn || (door === null && host.door_url === null)) continue
    await setDoor(api, host.name, door === null ? null : `http://${door.address}:${door.port + (host.simulated ? Number(n) - 1 : 0)}`)
  }
}
