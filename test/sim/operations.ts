/** Random API operations of three tenants, and what the cloud has acknowledged of them. An unanswered or refused call promises nothing; an acknowledged one must hold. */
import type { Answer } from '../support/cloud.ts'
import { type SimCloud, TENANTS } from './simcloud.ts'

export type ThingKind = 'server' | 'volume' | 'snapshot' | 'backup' | 'image' | 'network' | 'subnet' | 'port' | 'floatingip' | 'security_group'

export interface Thing {
  kind: ThingKind
  id: string
  tenant: string
  /** Set when a delete was acknowledged. */
  deleted: boolean
  /** A delete may have been carried out without an answer, or something else may have taken it along. */
  unsure: boolean
  /** The network of a subnet or port. */
  within?: string
}

export interface ObjectState {
  tenant: string
  /** Writes that may be the one that is read, oldest first; null is a delete. */
  writes: { content: string | null; acknowledged: boolean; open: boolean }[]
}

export class Model {
  readonly things = new Map<string, Thing>()
  readonly objects = new Map<string, ObjectState>()
  readonly networks = new Map<string, string>()
  imageId = ''
  publicId = ''
  sharedId = ''
  answers = 0
  readonly mistakes: string[] = []
  readonly attached: { server: Thing; volume: Thing }[] = []
  refusals = new Map<number, number>()

  count(answer: Answer): void {
    this.answers++
    // A reset object is 503; whatever else was not foreseen is a mistake of ours.
    if (answer.status === 500) this.mistakes.push(answer.text.slice(0, 300))
    if (answer.status >= 300) this.refusals.set(answer.status, (this.refusals.get(answer.status) ?? 0) + 1)
  }

  of(kind: ThingKind, tenant: string): Thing[] {
    return [...this.things.values()].filter((thing) => thing.kind === kind && thing.tenant === tenant && !thing.deleted)
  }
}

const PATHS: Record<ThingKind, (thing: { tenant: string; id: string }) => string> = {
  server: ({ id }) => `/compute/v2.1/servers/${id}`,
  volume: ({ tenant, id }) => `/volume/v3/${tenant}/volumes/${id}`,
  snapshot: ({ tenant, id }) => `/volume/v3/${tenant}/snapshots/${id}`,
  backup: ({ tenant, id }) => `/volume/v3/${tenant}/backups/${id}`,
  image: ({ id }) => `/image/v2/images/${id}`,
  network: ({ id }) => `/network/v2.0/networks/${id}`,
  subnet: ({ id }) => `/network/v2.0/subnets/${id}`,
  port: ({ id }) => `/network/v2.0/ports/${id}`,
  floatingip: ({ id }) => `/network/v2.0/floatingips/${id}`,
  security_group: ({ id }) => `/network/v2.0/security-groups/${id}`,
}
export const pathOf = (thing: Pick<Thing, 'kind' | 'tenant' | 'id'>): string => PATHS[thing.kind](thing)

/** One network with a subnet for each tenant, an external network, and an image, while nothing goes wrong. */
export async function prepare(sim: SimCloud, model: Model): Promise<void> {
  const must = (answer: Answer, what: string) => {
    if (answer.status >= 300) throw new Error(`${what}: ${answer.status} ${answer.text.slice(0, 300)}`)
    return answer.body
  }
  const image = must(await sim.finish(sim.call('admin', 'POST', '/image/v2/images', { name: 'guest', disk_format: 'raw', container_format: 'bare', visibility: 'public' })), 'image').id
  must(await sim.finish(sim.call('admin', 'PUT', `/image/v2/images/${image}/file`, undefined, { body: new Uint8Array(4096), headers: { 'content-type': 'application/octet-stream' } })), 'upload')
  model.imageId = image
  const external = must(await sim.finish(sim.call('admin', 'POST', '/network/v2.0/networks', { network: { name: 'public', 'router:external': true } })), 'external network').network.id
  must(await sim.finish(sim.call('admin', 'POST', '/network/v2.0/subnets', { subnet: { network_id: external, ip_version: 4, cidr: '172.24.4.0/24', enable_dhcp: false } })), 'external subnet')
  model.publicId = external
  const shared = must(await sim.finish(sim.call('admin', 'POST', '/network/v2.0/networks', { network: { name: 'shared', shared: true } })), 'shared network').network.id
  must(await sim.finish(sim.call('admin', 'POST', '/network/v2.0/subnets', { subnet: { network_id: shared, ip_version: 4, cidr: '192.168.0.0/24' } })), 'shared subnet')
  model.sharedId = shared
  for (const tenant of TENANTS) {
    const network = must(await sim.finish(sim.call(tenant, 'POST', '/network/v2.0/networks', { network: { name: 'n' } })), 'network').network.id
    const subnet = must(await sim.finish(sim.call(tenant, 'POST', '/network/v2.0/subnets', { subnet: { network_id: network, ip_version: 4, cidr: '10.0.0.0/24' } })), 'subnet').subnet.id
    const router = must(await sim.finish(sim.call(tenant, 'POST', '/network/v2.0/routers', { router: { name: 'r', external_gateway_info: { network_id: external } } })), 'router').router.id
    must(await sim.finish(sim.call(tenant, 'PUT', `/network/v2.0/routers/${router}/add_router_interface`, { subnet_id: subnet })), 'router interface')
    model.networks.set(tenant, network)
    must(await sim.finish(sim.call(tenant, 'PUT', `/object-store/v1/AUTH_${tenant}/c`)), 'container')
  }
}

type Operation = (sim: SimCloud, model: Model, tenant: string) => Promise<Answer | null>

/** Makes a thing; its id is where the answer has it. */
const make = (kind: ThingKind, body: (sim: SimCloud, model: Model, tenant: string) => unknown, collection = ''): Operation => async (sim, model, tenant) => {
  const json = body(sim, model, tenant)
  if (json === null) return null
  const answer = await sim.call(tenant, 'POST', collection || pathOf({ kind, tenant, id: '' }).replace(/\/$/, ''), json)
  const id = (answer.body?.[kind]?.id ?? answer.body?.id) as string | undefined
  if (answer.status < 300 && id !== undefined) model.things.set(id, { kind, id, tenant, deleted: false, unsure: false, within: answer.body?.[kind]?.network_id })
  return answer
}

const remove = (kind: ThingKind): Operation => async (sim, model, tenant) => {
  const thing = sim.world.pick(model.of(kind, tenant))
  if (thing === undefined) return null
  const answer = await sim.call(tenant, 'DELETE', pathOf(thing))
  if (answer.status < 300) {
    thing.deleted = true
    // Subnets go with their network, rules with their group.
    for (const part of model.things.values()) if (part.within === thing.id) part.unsure = true
  }
  else if (answer.status >= 500) thing.unsure = true
  return answer
}

/** A request about one thing of a kind. */
const about = (kind: ThingKind, method: string, suffix: string, body: (sim: SimCloud, model: Model, tenant: string) => unknown): Operation => async (sim, model, tenant) => {
  const thing = sim.world.pick(model.of(kind, tenant))
  const json = thing === undefined ? null : body(sim, model, tenant)
  return thing === undefined || json === null ? null : await sim.call(tenant, method, `${pathOf(thing)}${suffix}`, json)
}
/** What a tenant does later with a server that it stopped, resized...: else most random actions would find no server they apply to. */
const LATER: Record<string, Record<string, unknown>[]> = {
  'os-stop': [{ 'os-start': null }, { rebuild: {} }], pause: [{ unpause: null }], suspend: [{ resume: null }], shelve: [{ unshelve: null }], resize: [{ confirmResize: null }, { revertResize: null }],
}
const LATER_MAX_MS = 15_000

const action = (body: Record<string, unknown>): Operation => async (sim, model, tenant) => {
  const server = sim.world.pick(model.of('server', tenant))
  return server === undefined ? null : await act(sim, model, server, body)
}

async function act(sim: SimCloud, model: Model, server: Thing, body: Record<string, unknown>): Promise<Answer> {
  const [name = ''] = Object.keys(body)
  const answer = await sim.call(server.tenant, 'POST', `${pathOf(server)}/action`, name === 'rebuild' ? { rebuild: { imageRef: model.imageId } } : body)
  const next = answer.status < 300 ? sim.world.pick(LATER[name] ?? []) : undefined
  if (next !== undefined) later(sim, model, server, next)
  return answer
}

function later(sim: SimCloud, model: Model, server: Thing, body: Record<string, unknown>): void {
  sim.world.after(1_000 + sim.world.random.below(LATER_MAX_MS), () => {
    if (!server.deleted) void act(sim, model, server, body).then((answer) => model.count(answer)).catch(() => {})
  })
}

const some = (sim: SimCloud, model: Model, kind: ThingKind, tenant: string) => sim.world.pick(model.of(kind, tenant))

const onNetwork = (model: Model, tenant: string) => [{ uuid: model.networks.get(tenant) }]

async function attachVolume(sim: SimCloud, model: Model, tenant: string): Promise<Answer | null> {
  const volume = some(sim, model, 'volume', tenant)
  const server = some(sim, model, 'server', tenant)
  if (volume === undefined || server === undefined) return null
  const answer = await sim.call(tenant, 'POST', `${pathOf(server)}/os-volume_attachments`, { volumeAttachment: { volumeId: volume.id } })
  if (answer.status < 300) model.attached.push({ server, volume })
  return answer
}

async function detachVolume(sim: SimCloud, model: Model, tenant: string): Promise<Answer | null> {
  const { server, volume } = sim.world.pick(model.attached.filter((pair) => pair.server.tenant === tenant && !pair.server.deleted)) ?? {}
  return server === undefined || volume === undefined ? null : await sim.call(tenant, 'DELETE', `${pathOf(server)}/os-volume_attachments/${volume.id}`)
}

async function saveImage(sim: SimCloud, model: Model, tenant: string): Promise<Answer | null> {
  const server = some(sim, model, 'server', tenant)
  if (server === undefined) return null
  const answer = await sim.call(tenant, 'POST', `${pathOf(server)}/action`, { createImage: { name: 'saved' } })
  const id = answer.headers.get('location')?.split('/').at(-1)
  // An image that could not be made is dropped by the plane.
  if (answer.status < 300 && id !== undefined) model.things.set(id, { kind: 'image', id, tenant, deleted: false, unsure: true })
  return answer
}

async function upload(sim: SimCloud, model: Model, tenant: string): Promise<Answer | null> {
  const made = await make('image', () => ({ name: 'i', disk_format: 'raw', container_format: 'bare' }))(sim, model, tenant)
  if (made === null || made.status >= 300) return made
  return await sim.call(tenant, 'PUT', `${pathOf({ kind: 'image', tenant, id: made.body.id })}/file`, undefined, { body: new Uint8Array(2048), headers: { 'content-type': 'application/octet-stream' } })
}

async function putObject(sim: SimCloud, model: Model, tenant: string): Promise<Answer> {
  const path = `/object-store/v1/AUTH_${tenant}/c/o${sim.world.random.below(6)}`
  const content = `${sim.world.clock.now_ms()}-${sim.world.random.below(1_000_000)}`
  return await writeObject(model, tenant, path, content, () => sim.call(tenant, 'PUT', path, undefined, { body: content }))
}

async function deleteObject(sim: SimCloud, model: Model, tenant: string): Promise<Answer> {
  const path = `/object-store/v1/AUTH_${tenant}/c/o${sim.world.random.below(6)}`
  return await writeObject(model, tenant, path, null, () => sim.call(tenant, 'DELETE', path))
}

/** Until it is answered either may be read; then what was acknowledged, or what was begun after it. */
async function writeObject(model: Model, tenant: string, path: string, content: string | null, write: () => Promise<Answer>): Promise<Answer> {
  const state = model.objects.get(path) ?? { tenant, writes: [{ content: null, acknowledged: true, open: false }] }
  model.objects.set(path, state)
  const mine = { content, acknowledged: false, open: true }
  state.writes.push(mine)
  // Another one under way may get the newer timestamp.
  const beside = state.writes.filter((other) => other.open)
  const answer = await write()
  mine.open = false
  mine.acknowledged = answer.status < 300
  if (mine.acknowledged) state.writes = state.writes.filter((other) => other === mine || other.open || beside.includes(other) || state.writes.indexOf(other) > state.writes.indexOf(mine))
  return answer
}

const OPERATIONS: [number, Operation][] = [
  [8, make('server', (_sim, model, tenant) => ({ server: { name: 's', flavorRef: '1', imageRef: model.imageId, networks: onNetwork(model, tenant) } }))],
  [1, make('server', (_sim, model) => ({ server: { name: 's', flavorRef: '1', imageRef: model.imageId, networks: [{ uuid: model.sharedId }] } }))],
  [1, make('server', (sim, model, tenant) => {
    const port = some(sim, model, 'port', tenant)
    return port === undefined ? null : { server: { name: 's', flavorRef: '1', imageRef: model.imageId, networks: [{ port: port.id }] } }
  })],
  [2, make('server', (_sim, model, tenant) => ({ server: {
    name: 'v', flavorRef: '1', networks: onNetwork(model, tenant), block_device_mapping_v2: [{ boot_index: 0, uuid: model.imageId, source_type: 'image', destination_type: 'volume', volume_size: 1, delete_on_termination: true }],
  } }))],
  [5, remove('server')],
  [2, action({ 'os-stop': null })],
  [2, action({ 'os-start': null })],
  [1, action({ pause: null })],
  [1, action({ unpause: null })],
  [1, action({ suspend: null })],
  [1, action({ resume: null })],
  [1, action({ reboot: { type: 'HARD' } })],
  [1, action({ reboot: { type: 'SOFT' } })],
  [1, action({ rebuild: {} })],
  [2, action({ resize: { flavorRef: '2' } })],
  [1, action({ confirmResize: null })],
  [1, action({ revertResize: null })],
  [1, action({ shelve: null })],
  [1, action({ shelveOffload: null })],
  [2, action({ unshelve: null })],
  [1, saveImage],
  [1, about('server', 'POST', '/os-interface', (_sim, model, tenant) => ({ interfaceAttachment: { net_id: model.networks.get(tenant) } }))],
  [5, make('volume', () => ({ volume: { size: 1, name: 'v' } }))],
  [1, make('volume', (_sim, model) => ({ volume: { size: 1, name: 'i', imageRef: model.imageId } }))],
  [1, make('volume', (sim, model, tenant) => {
    const snapshot = some(sim, model, 'snapshot', tenant)
    return snapshot === undefined ? null : { volume: { size: 1, snapshot_id: snapshot.id } }
  })],
  [3, remove('volume')],
  [1, about('volume', 'POST', '/action', () => ({ 'os-extend': { new_size: 2 } }))],
  [5, attachVolume],
  [3, detachVolume],
  [2, make('snapshot', (sim, model, tenant) => {
    const volume = some(sim, model, 'volume', tenant)
    return volume === undefined ? null : { snapshot: { volume_id: volume.id, force: true } }
  })],
  [1, remove('snapshot')],
  [1, make('backup', (sim, model, tenant) => {
    const volume = some(sim, model, 'volume', tenant)
    return volume === undefined ? null : { backup: { volume_id: volume.id, name: 'b' } }
  })],
  [1, remove('backup')],
  [1, upload],
  [1, remove('image')],
  [1, make('network', () => ({ network: { name: 'more' } }))],
  [1, make('subnet', (sim, model, tenant) => {
    const network = some(sim, model, 'network', tenant)
    return network === undefined ? null : { subnet: { network_id: network.id, ip_version: 4, cidr: `10.${1 + sim.world.random.below(200)}.0.0/24` } }
  })],
  [1, remove('subnet')],
  [1, remove('network')],
  [2, make('port', (_sim, model, tenant) => ({ port: { network_id: model.networks.get(tenant), name: 'p' } }))],
  [1, remove('port')],
  [1, make('security_group', () => ({ security_group: { name: 'g' } }))],
  [1, make('security_group', (sim, model, tenant) => {
    const group = some(sim, model, 'security_group', tenant)
    return group === undefined ? null : { security_group_rule: { security_group_id: group.id, direction: 'ingress', ethertype: 'IPv4', remote_group_id: group.id } }
  }, '/network/v2.0/security-group-rules')],
  [1, about('port', 'PUT', '', (sim, model, tenant) => {
    const group = some(sim, model, 'security_group', tenant)
    return group === undefined ? null : { port: { security_groups: [group.id] } }
  })],
  [1, remove('security_group')],
  [2, make('floatingip', (sim, model, tenant) => ({ floatingip: { floating_network_id: model.publicId, ...(sim.world.oneIn(2) ? { port_id: some(sim, model, 'port', tenant)?.id } : {}) } }))],
  [1, about('floatingip', 'PUT', '', (sim, model, tenant) => ({ floatingip: { port_id: sim.world.oneIn(2) ? null : (some(sim, model, 'port', tenant)?.id ?? null) } }))],
  [1, remove('floatingip')],
  [5, putObject],
  [2, deleteObject],
]
const WEIGHT = OPERATIONS.reduce((sum, [weight]) => sum + weight, 0)

/** One random operation; answers its status, or null where there was nothing to do. */
export async function operate(sim: SimCloud, model: Model, only?: string): Promise<void> {
  const tenant = only ?? sim.world.pick(TENANTS) ?? 'project-a'
  let at = sim.world.random.below(WEIGHT)
  for (const [weight, operation] of OPERATIONS) {
    at -= weight
    if (at >= 0) continue
    const answer = await operation(sim, model, tenant)
    if (answer === null) return
    model.count(answer)
    return
  }
}
