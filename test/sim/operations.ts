/** Random API operations of three tenants, and what the cloud has acknowledged of them. An unanswered or refused call promises nothing; an acknowledged one must hold. */
import type { Answer } from '../support/cloud.ts'
import { type SimCloud, TENANTS } from './simcloud.ts'

export interface Thing {
  kind: 'server' | 'volume' | 'network' | 'port'
  id: string
  tenant: string
  /** Set when a delete was acknowledged. */
  deleted: boolean
  /** A delete may have been carried out without an answer. */
  unsure: boolean
}

export interface ObjectState {
  tenant: string
  /** Contents that may be read: the last acknowledged, and those whose PUT had no answer since. null: may be absent. */
  allowed: (string | null)[]
}

export class Model {
  readonly things = new Map<string, Thing>()
  readonly objects = new Map<string, ObjectState>()
  readonly networks = new Map<string, string>()
  imageId = ''
  publicId = ''
  answers = 0
  readonly mistakes: string[] = []
  refusals = new Map<number, number>()

  of(kind: Thing['kind'], tenant: string): Thing[] {
    return [...this.things.values()].filter((thing) => thing.kind === kind && thing.tenant === tenant && !thing.deleted)
  }
}

const PATHS: Record<Thing['kind'], (thing: { tenant: string; id: string }) => string> = {
  server: ({ id }) => `/compute/v2.1/servers/${id}`,
  volume: ({ tenant, id }) => `/volume/v3/${tenant}/volumes/${id}`,
  network: ({ id }) => `/network/v2.0/networks/${id}`,
  port: ({ id }) => `/network/v2.0/ports/${id}`,
}
export const pathOf = (thing: Thing): string => PATHS[thing.kind](thing)

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

function keep(model: Model, kind: Thing['kind'], tenant: string, answer: Answer, id: string | undefined): Answer {
  if (answer.status < 300 && id !== undefined) model.things.set(id, { kind, id, tenant, deleted: false, unsure: false })
  return answer
}

async function remove(sim: SimCloud, model: Model, kind: Thing['kind'], tenant: string): Promise<Answer | null> {
  const thing = sim.world.pick(model.of(kind, tenant))
  if (thing === undefined) return null
  const answer = await sim.call(tenant, 'DELETE', pathOf(thing))
  if (answer.status < 300) thing.deleted = true
  else if (answer.status >= 500) thing.unsure = true
  return answer
}

const action = (body: Record<string, unknown>): Operation => async (sim, model, tenant) => {
  const server = sim.world.pick(model.of('server', tenant))
  return server === undefined ? null : await sim.call(tenant, 'POST', `${pathOf(server)}/action`, body)
}

const OPERATIONS: [number, Operation][] = [
  [6, async (sim, model, tenant) => {
    const answer = await sim.call(tenant, 'POST', '/compute/v2.1/servers', { server: { name: 's', flavorRef: '1', imageRef: model.imageId, networks: [{ uuid: model.networks.get(tenant) }] } })
    return keep(model, 'server', tenant, answer, answer.body?.server?.id)
  }],
  [4, (sim, model, tenant) => remove(sim, model, 'server', tenant)],
  [2, action({ 'os-stop': null })],
  [2, action({ 'os-start': null })],
  [1, action({ pause: null })],
  [1, action({ unpause: null })],
  [1, action({ reboot: { type: 'HARD' } })],
  [4, async (sim, model, tenant) => {
    const answer = await sim.call(tenant, 'POST', `/volume/v3/${tenant}/volumes`, { volume: { size: 1, name: 'v' } })
    return keep(model, 'volume', tenant, answer, answer.body?.volume?.id)
  }],
  [3, (sim, model, tenant) => remove(sim, model, 'volume', tenant)],
  [4, async (sim, model, tenant) => {
    const server = sim.world.pick(model.of('server', tenant))
    const volume = sim.world.pick(model.of('volume', tenant))
    if (server === undefined || volume === undefined) return null
    return await sim.call(tenant, 'POST', `${pathOf(server)}/os-volume_attachments`, { volumeAttachment: { volumeId: volume.id } })
  }],
  [2, async (sim, model, tenant) => {
    const server = sim.world.pick(model.of('server', tenant))
    const volume = sim.world.pick(model.of('volume', tenant))
    if (server === undefined || volume === undefined) return null
    return await sim.call(tenant, 'DELETE', `${pathOf(server)}/os-volume_attachments/${volume.id}`)
  }],
  [2, async (sim, model, tenant) => {
    const answer = await sim.call(tenant, 'POST', '/network/v2.0/ports', { port: { network_id: model.networks.get(tenant), name: 'p' } })
    return keep(model, 'port', tenant, answer, answer.body?.port?.id)
  }],
  [1, (sim, model, tenant) => remove(sim, model, 'port', tenant)],
  [1, async (sim, model, tenant) => await sim.call(tenant, 'POST', '/network/v2.0/floatingips', { floatingip: { floating_network_id: model.publicId } })],
  [4, async (sim, model, tenant) => {
    const path = `/object-store/v1/AUTH_${tenant}/c/o${sim.world.random.below(6)}`
    const content = `${sim.world.clock.now_ms()}-${sim.world.random.below(1_000_000)}`
    const state = model.objects.get(path) ?? { tenant, allowed: [null] }
    model.objects.set(path, state)
    const known = state.allowed
    // Not answered yet: either may be read.
    state.allowed = [...known, content]
    const answer = await sim.call(tenant, 'PUT', path, undefined, { body: content })
    if (answer.status < 300) state.allowed = state.allowed.slice(state.allowed.indexOf(content))
    return answer
  }],
]
const WEIGHT = OPERATIONS.reduce((sum, [weight]) => sum + weight, 0)

/** One random operation; answers its status, or null where there was nothing to do. */
export async function operate(sim: SimCloud, model: Model): Promise<void> {
  const tenant = sim.world.pick(TENANTS) ?? 'project-a'
  let at = sim.world.random.below(WEIGHT)
  for (const [weight, operation] of OPERATIONS) {
    at -= weight
    if (at >= 0) continue
    const answer = await operation(sim, model, tenant)
    if (answer === null) return
    model.answers++
    // A reset object is 503; whatever else was not foreseen is a mistake of ours.
    if (answer.status === 500) model.mistakes.push(answer.text.slice(0, 300))
    if (answer.status >= 300) model.refusals.set(answer.status, (model.refusals.get(answer.status) ?? 0) + 1)
    return
  }
}
