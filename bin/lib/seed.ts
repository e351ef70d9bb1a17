/** First boot, through the public API only: external network `public`, `private` with a router, the image `guest`. Each step is looked up first: running it again changes nothing. */
import { spawn } from 'node:child_process'
import { existsSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Api } from './api.ts'
import { type Home, ROOT } from './home.ts'

export const PUBLIC_CIDR = '172.24.4.0/24'
export const PUBLIC_GATEWAY = '172.24.4.1'
export const PRIVATE_CIDR = '10.0.0.0/24'
export const PHYSICAL_NETWORK = 'public'

interface Named {
  id: string
  name: string
}

async function ensure(api: Api, collection: string, key: string, name: string, body: () => Record<string, unknown>): Promise<Named> {
  const found = (await api.call('GET', `/network/v2.0/${collection}?name=${name}&project_id=${api.projectId}`))[collection.replace(/-/g, '_')] as Named[]
  if (found[0] !== undefined) return found[0]
  return (await api.call('POST', `/network/v2.0/${collection}`, { [key]: { name, ...body() } }, { headers: { 'idempotency-key': `seed-${key}-${name}` } }))[key]
}

export async function seedNetworks(api: Api): Promise<void> {
  const external = await ensure(api, 'networks', 'network', 'public', () => ({ 'router:external': true, 'provider:network_type': 'flat', 'provider:physical_network': PHYSICAL_NETWORK }))
  await ensure(api, 'subnets', 'subnet', 'public-subnet', () => ({
    network_id: external.id, ip_version: 4, cidr: PUBLIC_CIDR, gateway_ip: PUBLIC_GATEWAY, enable_dhcp: false, allocation_pools: [{ start: '172.24.4.10', end: '172.24.4.250' }],
  }))
  const network = await ensure(api, 'networks', 'network', 'private', () => ({}))
  const subnet = await ensure(api, 'subnets', 'subnet', 'private-subnet', () => ({ network_id: network.id, ip_version: 4, cidr: PRIVATE_CIDR, gateway_ip: '10.0.0.1' }))
  const router = await ensure(api, 'routers', 'router', 'router1', () => ({ external_gateway_info: { network_id: external.id } }))
  const { ports } = (await api.call('GET', `/network/v2.0/ports?device_id=${router.id}&network_id=${network.id}`)) as { ports: unknown[] }
  if (ports.length === 0) await api.call('PUT', `/network/v2.0/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id }, { expect: [400, 409] })
}

export const GUEST_IMAGE = 'guest'

/** Makes and uploads `guest` where it is not there yet. A simulated cloud gets a blank disk of that name: its guests need no system. */
export async function seedImage(api: Api, home: Home, real: boolean, changed: (state: 'building' | 'ready' | 'failed', problem?: string) => void): Promise<void> {
  try {
    const { images } = (await api.call('GET', `/image/v2/images?name=${GUEST_IMAGE}&owner=${api.projectId}`)) as { images: { id: string; status: string }[] }
    if (images.some((image) => image.status === 'active')) return changed('ready')
    for (const stale of images) await api.call('DELETE', `/image/v2/images/${stale.id}`, undefined, { expect: [404, 409] })
    changed('building')
    const path = real ? await guestImage(home) : null
    const image = await api.call('POST', '/image/v2/images', { name: GUEST_IMAGE, disk_format: path === null ? 'raw' : 'qcow2', container_format: 'bare', visibility: 'public', os_distro: 'debian' })
    const bytes = path === null ? new Uint8Array(1024 * 1024) : readFileSync(path)
    await api.call('PUT', `/image/v2/images/${image.id}/file`, undefined, { raw: bytes as BodyInit, headers: { 'content-type': 'application/octet-stream' } })
    changed('ready')
  } catch (error) {
    changed('failed', String((error as Error).message ?? error))
  }
}

/** Built once from Debian packages; kept in the cache until its recipe changes. */
async function guestImage(home: Home): Promise<string> {
  const recipe = join(ROOT, 'bin/guest-image.sh')
  const out = join(home.cache, 'guest.qcow2')
  if (existsSync(out) && statSync(out).mtimeMs >= statSync(recipe).mtimeMs) return out
  const log = join(home.logs, 'guest-image.log')
  await new Promise<void>((resolve, reject) => {
    const fd = openSync(log, 'w', 0o600)
    const child = spawn('bash', [recipe, `${out}.new`, join(home.cache, 'debs')], { stdio: ['ignore', fd, fd] })
    child.on('error', reject)
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`the guest image could not be built; see ${log}`))))
  })
  renameSync(`${out}.new`, out)
  return out
}
