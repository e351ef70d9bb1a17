/**
 * Invariants between objects: what projects expect of hosts, what hosts were told and say they have, what the region holds. Pure, over one look at all of them.
 * What is under way is excused by its own deadline (a task, an outbox step); the caller looks twice where the cloud is not standing still.
 */
import type { PendingStep } from '../../../durable-objects/kernel/outbox.ts'
import { type Violation, overdueSteps } from '../../../durable-objects/kernel/violation.ts'
import type { Expected, Held, Holdings } from '../../../durable-objects/project/holdings.ts'
import type { Ledger, LedgerRow } from '../../../durable-objects/region/ledger.ts'
import type { DesiredItem } from '../../../schema/agent/desired.ts'
import type { ObservedItem } from '../../../schema/agent/observed.ts'
import type { HostRow } from '../hosts/store.ts'

export interface HostView {
  host: Pick<HostRow, 'id' | 'name' | 'up'>
  desired: DesiredItem[]
  observed: ObservedItem[]
}

export interface Look {
  projects: ReadonlyMap<string, Holdings>
  hosts: readonly HostView[]
  ledger: Ledger
  /** Steps that objects without a project have still to do. */
  pending: readonly { object: string; steps: readonly PendingStep[] }[]
  now_ms: number
}

const keyOf = (item: { kind: string; id: string }) => `${item.kind}/${item.id}`
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/

export function crossViolations(look: Look): Violation[] {
  return [...ownership(look), ...convergence(look), ...machines(look), ...ledgers(look), ...amounts(look), ...claims(look), ...look.pending.flatMap(({ object, steps }) => overdueSteps(steps, look.now_ms, null, object))]
}

/** Expected items by host and key. */
function expectations({ projects }: Look): Map<string, Expected & { project_id: string }> {
  const all = new Map<string, Expected & { project_id: string }>()
  for (const [project_id, { items }] of projects) for (const item of items) all.set(`${item.host_id} ${keyOf(item)}`, { ...item, project_id })
  return all
}

/** What a host was told is what the owner wants there now, and nothing else. */
function ownership(look: Look): Violation[] {
  const out: Violation[] = []
  const wanted = expectations(look)
  const told = new Map<string, DesiredItem>()
  const names = new Map(look.hosts.map(({ host }) => [host.id, host.name]))
  for (const { host, desired } of look.hosts) {
    for (const item of desired) {
      told.set(`${host.id} ${keyOf(item)}`, item)
      if (item.state === 'present' && wanted.get(`${host.id} ${keyOf(item)}`) === undefined) {
        out.push({ invariant: 'host-desired', project_id: item.project_id, resource: `${item.kind} ${item.id}`, message: `host ${host.name} is told to have it, and its owner does not know of that` })
      }
    }
  }
  for (const item of wanted.values()) {
    if (item.busy) continue
    const say = (message: string) => out.push({ invariant: 'host-desired', project_id: item.project_id, resource: `${item.kind} ${item.id}`, message })
    const host = names.get(item.host_id)
    const known = told.get(`${item.host_id} ${keyOf(item)}`)
    if (host === undefined) say(`it is on host ${item.host_id}, which does not exist`)
    // What is to be absent is forgotten by a host once it is gone.
    else if (known === undefined && item.state === 'present') say(`host ${host} was never told to have it`)
    else if (known !== undefined && (known.generation !== item.generation || known.state !== item.state)) say(`host ${host} is told generation ${known.generation} (${known.state}), its owner wants ${item.generation} (${item.state})`)
  }
  return out
}

/** Hosts that are up have what they were told. */
function convergence(look: Look): Violation[] {
  const out: Violation[] = []
  const wanted = expectations(look)
  for (const { host, desired, observed } of look.hosts) {
    if (!host.up) continue
    const seen = new Map(observed.map((item) => [keyOf(item), item]))
    for (const item of desired) {
      const owner = wanted.get(`${host.id} ${keyOf(item)}`)
      const actual = seen.get(keyOf(item))
      if (owner?.busy) continue
      const say = (message: string) => out.push({ invariant: 'host-converged', project_id: item.project_id, resource: `${item.kind} ${item.id}`, message })
      if (actual === undefined || actual.generation < item.generation || actual.status === 'working') say(`host ${host.name} has not reached generation ${item.generation} (it is at ${actual?.generation ?? 0}${actual?.error === undefined ? '' : `: ${actual.error}`})`)
      else if (item.state === 'present' && actual.status === 'gone') say(`host ${host.name} has lost it`)
      else if (actual.status === 'failed' && !owner?.broken) say(`host ${host.name} cannot: ${actual.error ?? 'it gave no reason'}`)
    }
  }
  return out
}

const OFF: ReadonlySet<string> = new Set(['shutdown', 'nostate', 'crashed'])
const powerFits = (wanted: Expected['power'], power: string | undefined): boolean => wanted === undefined || wanted === 'any' || power === undefined || (wanted === 'off' ? OFF.has(power) : power === wanted)

/** Servers: on one host, running as their owner thinks, with the volumes that are attached and no others. */
function machines(look: Look): Violation[] {
  const out: Violation[] = []
  const wanted = expectations(look)
  const homes = new Map<string, Set<string>>()
  const holders = new Map<string, string[]>()
  const shared = new Set([...look.projects.values()].flatMap((holdings) => holdings.multiattach))
  for (const { host, desired, observed } of look.hosts) {
    const home = (id: string) => homes.set(id, (homes.get(id) ?? new Set()).add(host.name))
    for (const item of desired) if (item.kind === 'server' && item.state === 'present') home(item.id)
    for (const item of observed) {
      if (item.kind !== 'server' || item.status === 'gone') continue
      if (item.power === 'running') home(item.id)
      const volumes = (item.disks ?? []).filter((disk) => UUID.test(disk.id))
      if (item.power === 'running') for (const disk of volumes) holders.set(disk.id, [...(holders.get(disk.id) ?? []), item.id])
      out.push(...machine(item, volumes, wanted.get(`${host.id} ${keyOf(item)}`), host.name))
    }
  }
  for (const [id, hosts] of homes) if (hosts.size > 1) out.push({ invariant: 'server-on-one-host', project_id: null, resource: `server ${id}`, message: `it is on ${[...hosts].join(' and ')}` })
  for (const [id, servers] of holders) if (new Set(servers).size > 1 && !shared.has(id)) out.push({ invariant: 'volume-one-attachment', project_id: null, resource: `volume ${id}`, message: `it is in ${[...new Set(servers)].join(' and ')}` })
  return out
}

function machine(item: ObservedItem, volumes: readonly { id: string; serial: string }[], owner: (Expected & { project_id: string }) | undefined, host: string): Violation[] {
  const out: Violation[] = []
  const say = (invariant: string, resource: string, message: string) => out.push({ invariant, project_id: owner?.project_id ?? null, resource, message })
  for (const disk of volumes) if (disk.serial === '' || !disk.id.startsWith(disk.serial)) say('volume-serial', `volume ${disk.id}`, `server ${item.id} on ${host} sees it with serial ${disk.serial}`)
  if (owner === undefined || owner.busy || item.generation !== owner.generation || item.status !== 'ready' || owner.state === 'absent') return out
  if (!powerFits(owner.power, item.power)) say('power-kept', `server ${item.id}`, `its owner has it ${owner.power}, on ${host} it is ${item.power}`)
  const has = new Set(volumes.map((disk) => disk.id))
  for (const id of owner.volumes ?? []) if (!has.has(id)) say('volume-one-attachment', `volume ${id}`, `it is attached to server ${item.id}, which does not have it on ${host}`)
  for (const id of has) if (owner.volumes !== undefined && !owner.broken && !owner.volumes.includes(id)) say('volume-one-attachment', `volume ${id}`, `server ${item.id} on ${host} has it, and it is not attached to it`)
  return out
}

/** What the region holds for projects, and what they say they hold. */
function ledgers({ projects, ledger }: Look): Violation[] {
  const out: Violation[] = []
  const compare = (invariant: string, what: string, rows: readonly LedgerRow[], pick: (holdings: Holdings) => readonly Held[], needed: (held: Held) => boolean = (held) => held.host_id !== null) => {
    const owned = new Map([...projects].flatMap(([project_id, holdings]) => pick(holdings).map((held) => [held.id, { ...held, project_id }] as const)))
    const held = new Set(rows.map((row) => row.id))
    for (const row of rows) {
      const owner = owned.get(row.id)
      const say = (message: string) => out.push({ invariant, project_id: row.project_id, resource: `${what} ${row.id}`, message })
      if (owner === undefined) say('the region holds it for something that its project does not have')
      else if (owner.project_id !== row.project_id) say(`the region holds it for another project than its owner ${owner.project_id}`)
      else if (row.host_id !== null && owner.host_id !== null && row.host_id !== owner.host_id) say(`the region has it on host ${row.host_id}, its owner on ${owner.host_id}`)
    }
    for (const [id, owner] of owned) if (!held.has(id) && needed(owner)) out.push({ invariant, project_id: owner.project_id, resource: `${what} ${id}`, message: 'the region holds nothing for it' })
  }
  compare('allocation-owned', 'allocation', ledger.allocations, (holdings) => holdings.consumers)
  compare('allocation-owned', 'volume', ledger.volumes, (holdings) => holdings.volumes)
  compare('allocation-owned', 'router', ledger.routers, (holdings) => holdings.routers)
  compare('allocation-owned', 'segment', ledger.segments, (holdings) => holdings.networks.map(({ id }) => ({ id, host_id: null })), ({ id }) => [...projects.values()].some((holdings) => holdings.networks.some((network) => network.id === id && network.segment_id !== null)))
  const segments = new Map(ledger.segments.map((row) => [row.id, row.segment_id]))
  for (const [project_id, { networks }] of projects) {
    for (const network of networks) if (network.segment_id !== null && segments.has(network.id) && segments.get(network.id) !== network.segment_id) out.push({ invariant: 'allocation-owned', project_id, resource: `network ${network.id}`, message: `it uses segment ${network.segment_id}, the region gave it ${segments.get(network.id)}` })
  }
  for (const row of ledger.published) {
    const owner = projects.get(row.project_id)
    const has = row.kind === 'network' ? owner?.networks.some(({ id }) => id === row.id) : row.kind === 'image' ? owner?.images.includes(row.id) : true
    if (!has) out.push({ invariant: 'reference-exists', project_id: row.project_id, resource: `${row.kind} ${row.id}`, message: 'it is published, and its owner does not have it' })
  }
  return out
}

/** What a server needs is what the region keeps free for it. */
function amounts({ projects, ledger }: Look): Violation[] {
  const held = new Map(ledger.allocations.map((row) => [row.id, row]))
  const text = (room: { vcpus: number; ram_mib: number; disk_gib: number }) => `${room.vcpus} cores, ${room.ram_mib} MiB, ${room.disk_gib} GiB`
  return [...projects].flatMap(([project_id, { consumers }]) =>
    consumers.flatMap(({ id, room }) => {
      const row = held.get(id)
      return room === undefined || row === undefined || text(row) === text(room) ? [] : [{ invariant: 'allocation-owned', project_id, resource: `allocation ${id}`, message: `the region holds ${text(row)}, its owner needs ${text(room)}` }]
    }),
  )
}

/** Addresses on others' networks: the owner's book and the holders' agree. */
function claims({ projects }: Look): Violation[] {
  const out: Violation[] = []
  for (const [project_id, holdings] of projects) {
    for (const { holder_id, owner_id } of holdings.claims) {
      if (!projects.get(owner_id)?.given.some((row) => row.holder_id === holder_id && row.project_id === project_id)) out.push({ invariant: 'address-unique', project_id, resource: `port ${holder_id}`, message: `its address was not given by ${owner_id}, who owns the network` })
    }
    for (const { holder_id, project_id: holder } of holdings.given) {
      if (holder !== project_id && !projects.get(holder)?.claims.some((row) => row.holder_id === holder_id)) out.push({ invariant: 'reference-exists', project_id, resource: `address of ${holder_id}`, message: `it is held for project ${holder}, which has no such port or floating IP` })
    }
  }
  return out
}
