/**
 * The ring of one storage policy: devices as the hosts report them, the assignment, and its versions. Runs in the Ring object. A host that goes away keeps its
 * devices (its data comes back with it); only a host removed from the region, or a device drained or removed by the operator, loses its partitions. What moved is
 * remembered until the device that had it says that it is empty: readers ask there too.
 */
import { randomBytes } from 'node:crypto'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import { onRegion } from '../../durable-objects/kernel/sessions.ts'
import type { ObjectRecon, RingForHosts } from '../../schema/agent/replication.ts'
import type { ErasureScheme } from '../../schema/values/erasure.ts'
import { Fault } from '../../schema/values/fault.ts'
import type { HostRow } from '../agents/hosts/store.ts'
import { replicasOf, schemeOf } from './policies.ts'
import { type Assignment, PART_POWER_DEFAULT, REPLICAS_DEFAULT, type RingDevice, movedAway, rebalance } from './ring.ts'
import { checkComponents, type Component, componentReplicas, rebalanceComposed, reportOf } from './ring-compose.ts'
import type { Dispersion } from './ring-report.ts'
import { isMarkOf, markOf } from './mark.ts'

export interface RingView {
  version: number
  part_power: number
  hash_prefix: string
  hash_suffix: string
  devices: RingDevice[]
  assignment: Assignment
  /** What a device held before and may still hold. */
  moving: { device: number; partitions: Uint32Array }[]
}

export interface RingDeviceStatus extends RingDevice {
  drained: boolean
  removed: boolean
  weight_set: number | null
  parts: number
  wanted: number
  /** Partitions that went elsewhere and are not yet confirmed to have left. */
  moving: number
}

export interface RingStatus {
  version: number
  part_power: number
  replicas: number
  /** Fragments in place of copies. */
  erasure: ErasureScheme | null
  /** Null where the ring is one. */
  components: Component[] | null
  min_part_hours: number
  overload: number
  rebalanced_ms: number
  moved: number
  /** The worst device: how far it is from its share, in percent. */
  balance_percent: number
  dispersion: Dispersion
  moving: number
  devices: RingDeviceStatus[]
  recon: { host_id: string; at_ms: number; recon: ObjectRecon }[]
}

export interface RingConfig {
  replicas?: number
  min_part_hours?: number
  overload?: number
}

export const MIN_PART_HOURS_DEFAULT = 1
export const OVERLOAD_DEFAULT = 0.1
/** Where a host keeps images of the file store: not the ring's. */
export const PRIVATE_DEVICE = 'images'
/** A change of size below this is no change of weight. */
const WEIGHT_STEP = 0.05
/** Figures are written down this often; between, they are in memory. */
export const RECON_KEPT_MS = 5 * 60_000
const GIB = 1024 ** 3
const HOUR_MS = 3_600_000

type Row = Record<string, unknown>
type DeviceRow = RingDevice & { drained: boolean; removed: boolean; weight_set: number | null }
type Host = Pick<HostRow, 'id' | 'availability_zone' | 'facts'>

export class RingStore {
  #deps: Deps
  #cached: RingView | null = null
  #recon = new Map<string, { at_ms: number; recon: ObjectRecon }>()

  constructor(deps: Deps) {
    this.#deps = deps
    for (const row of this.#rows('SELECT * FROM recon')) this.#recon.set(String(row.host_id), { at_ms: Number(row.at_ms), recon: JSON.parse(String(row.recon)) as ObjectRecon })
    deps.alarms.handle('rebalance', () => void this.rebalance())
  }

  /** The ring, or null where the caller has this version already. */
  current(known: number): RingView | null {
    this.#cached ??= this.#load()
    return this.#cached.version === known ? null : this.#cached
  }

  /** Asks the region for hosts and takes over what changed. Returns the ring's version. */
  async refresh(): Promise<number> {
    const { hosts, keys } = await onRegion(this.#deps.env, 'ring-refresh', async (region) => ({ hosts: await region.hosts.list(), keys: await region.hosts.keys() }))
    return this.sync(hosts, keys)
  }

  sync(hosts: Host[], keys: Record<string, string> = {}): number {
    const before = this.#devices()
    let changed = false
    this.#deps.storage.transactionSync(() => {
      for (const host of hosts) changed = this.#syncHost(host, before) || changed
      const ids = new Set(hosts.map((host) => host.id))
      for (const device of before) {
        if (ids.has(device.host_id)) continue
        this.#forget(device.id)
        changed = true
      }
      this.#syncAddresses(hosts, keys)
    })
    return changed ? this.rebalance() : this.current(-1)?.version ?? 0
  }

  #syncHost(host: Host, before: DeviceRow[]): boolean {
    let changed = false
    for (const device of host.facts?.object_devices ?? []) {
      if (device.name === PRIVATE_DEVICE) continue
      const known = before.find((one) => one.host_id === host.id && one.device === device.name)
      const weight = known?.weight_set ?? Math.max(0.01, Math.round((device.total_bytes / GIB) * 100) / 100)
      if (known === undefined) {
        this.#rows('INSERT INTO devices (host_id, device, region, zone, weight) VALUES (?, ?, 1, ?, ?)', host.id, device.name, host.availability_zone, weight)
        changed = true
      } else if (known.zone !== host.availability_zone || Math.abs(known.weight - weight) > known.weight * WEIGHT_STEP) {
        this.#rows('UPDATE devices SET zone = ?, weight = ? WHERE id = ?', host.availability_zone, weight, known.id)
        changed = true
      }
    }
    return changed
  }

  #syncAddresses(hosts: Host[], keys: Record<string, string>): void {
    const wanted = hosts.filter((host) => (host.facts?.object_devices ?? []).length > 0 && keys[host.id] !== undefined).map((host) => ({ host_id: host.id, storage_ip: host.facts?.storage_ip ?? null, object_port: host.facts?.object_port ?? null, public_key: keys[host.id] ?? '' }))
    const before = new Map(this.#rows('SELECT * FROM addresses').map((row) => [String(row.host_id), JSON.stringify([row.storage_ip, row.object_port, row.public_key])]))
    let changed = false
    for (const { host_id, storage_ip, object_port, public_key } of wanted) {
      if (before.get(host_id) === JSON.stringify([storage_ip, object_port, public_key])) continue
      this.#rows('INSERT OR REPLACE INTO addresses (host_id, storage_ip, object_port, public_key) VALUES (?, ?, ?, ?)', host_id, storage_ip, object_port, public_key)
      changed = true
    }
    for (const id of before.keys()) {
      if (hosts.some((host) => host.id === id)) continue
      this.#rows('DELETE FROM addresses WHERE host_id = ?', id)
      changed = true
    }
    if (!changed) return
    this.#row()
    this.#rows('UPDATE ring SET addresses = addresses + 1')
  }

  // ---------------------------------------------------------------- what an operator sets

  /** A drained device gets no partitions; what it holds is still read until it has gone elsewhere. */
  drain(id: number, drained: boolean): number {
    this.#change(id, 'drained = ?', drained ? 1 : 0)
    return this.rebalance()
  }

  /** Null follows the size of the disk again, with the host's next report. */
  setWeight(id: number, weight: number | null): number {
    this.#change(id, 'weight_set = ?, weight = COALESCE(?, weight)', weight, weight)
    return this.rebalance()
  }

  /** Out of the ring, for good: refused while it still has what others lack, unless forced (the disk is lost). */
  remove(id: number, force: boolean): number {
    const device = this.#device(id)
    const busy = this.#assignment().some((row) => row.includes(id)) || this.#moving().some((one) => one.device === id)
    if (busy && !force) throw new Fault('conflict', `Device ${device.device} of host ${device.host_id} still holds partitions: drain it and wait, or force it where the disk is lost.`)
    this.#change(id, 'removed = 1')
    this.#rows('DELETE FROM moving WHERE device = ?', id)
    return this.rebalance()
  }

  /** Takes a removed device in again. */
  add(id: number, weight: number | null): number {
    this.#change(id, 'removed = 0, drained = 0, weight_set = COALESCE(?, weight_set), weight = COALESCE(?, weight)', weight, weight)
    return this.rebalance()
  }

  /** Regions keep what the host's next report says of zones; they are the operator's alone. */
  setRegion(id: number, region: number): number {
    this.#change(id, 'region = ?', region)
    return this.rebalance()
  }

  /** Several rings as one (ring-compose.ts), or one again. */
  compose(components: Component[] | null): number {
    if (components !== null) checkComponents(components)
    const live = this.#devices().filter((device) => !device.removed && !device.drained && device.weight > 0)
    const empty = components?.find(({ regions }) => !live.some((device) => regions.includes(device.region)))
    if (empty !== undefined) throw new Fault('bad_request', `The rings can't be composed: no device is in region ${empty.regions.join(' or ')}, so that ${empty.name} could hold nothing.`)
    if (components !== null && schemeOf(this.#deps.env, Number(this.#deps.name)) !== null) throw new Fault('conflict', 'The ring of a policy that keeps fragments can\'t be composed.')
    const { replicas } = this.#row()
    this.#rows('UPDATE ring SET components = ?, replicas = ?', components === null ? null : JSON.stringify(components), components === null ? replicas : componentReplicas(components))
    return this.rebalance()
  }

  configure(change: RingConfig): number {
    if (change.replicas !== undefined && this.#row().components !== null) throw new Fault('conflict', 'The replicas of a composed ring are those of its components.')
    const row = { ...this.#row(), ...change }
    const scheme = schemeOf(this.#deps.env, Number(this.#deps.name))
    if (change.replicas !== undefined && scheme !== null && change.replicas !== scheme.data + scheme.parity) throw new Fault('conflict', `This policy keeps ${scheme.data} + ${scheme.parity} fragments of each object: its ring has as many replicas.`)
    this.#rows('UPDATE ring SET replicas = ?, min_part_hours = ?, overload = ?', row.replicas, row.min_part_hours, row.overload)
    return this.rebalance()
  }

  #change(id: number, what: string, ...values: unknown[]): void {
    this.#device(id)
    this.#rows(`UPDATE devices SET ${what} WHERE id = ?`, ...values, id)
  }

  #device(id: number): DeviceRow {
    const device = this.#devices().find((one) => one.id === id)
    if (device === undefined) throw new Fault('not_found', `The ring has no device ${id}.`)
    return device
  }

  #forget(id: number): void {
    this.#rows('DELETE FROM devices WHERE id = ?', id)
    this.#rows('DELETE FROM moving WHERE device = ?', id)
  }

  // ---------------------------------------------------------------- assignment

  /** Computes the next version. Partitions held back by min_part_hours follow by the alarm. */
  rebalance(): number {
    const row = this.#row()
    const devices = this.#devices()
    const live = devices.map((device) => ({ ...device, weight: device.drained || device.removed ? 0 : device.weight }))
    const now_h = Math.floor(this.#deps.clock.now_ms() / HOUR_MS)
    const before = this.#assignment()
    const components = componentsOf(row)
    const input = {
      part_power: Number(row.part_power), devices: live, previous: before, now_h, min_part_hours: Number(row.min_part_hours), overload: Number(row.overload),
      random: this.#deps.random, ...(row.moved_h === null ? {} : { moved_h: new Uint32Array(row.moved_h as ArrayBuffer) }),
    }
    const result = components === null ? rebalance({ ...input, replicas: Number(row.replicas) }) : rebalanceComposed(input, components)
    const version = Number(row.version) + 1
    this.#deps.storage.transactionSync(() => {
      this.#rows('DELETE FROM replicas')
      for (const [replica, parts] of result.assignment.entries()) this.#rows('INSERT INTO replicas (replica, parts) VALUES (?, ?)', replica, bufferOf(parts))
      this.#rows('UPDATE ring SET version = ?, moved_h = ?, rebalanced_ms = ?, moved = ?', version, bufferOf(result.moved_h), this.#deps.clock.now_ms(), result.moved)
      this.#noteMoves(before, result.assignment, devices)
    })
    this.#cached = null
    this.#deps.log('ring.rebalanced', { ring: this.#deps.name, version, devices: devices.length, moved: result.moved })
    if (result.moved > 0) this.#deps.alarms.at('rebalance', this.#deps.clock.now_ms() + Math.max(1, Number(row.min_part_hours) * HOUR_MS))
    return version
  }

  /** Adds what moved away now; a partition that came back is no longer away. */
  #noteMoves(before: Assignment, after: Assignment, devices: DeviceRow[]): void {
    const readable = new Set(devices.filter((device) => !device.removed).map((device) => device.id))
    const all = new Map(this.#moving().map(({ device, partitions }) => [device, new Set(partitions)]))
    for (const [device, partitions] of movedAway(before, after)) {
      if (!readable.has(device)) continue
      const set = all.get(device) ?? new Set<number>()
      for (const partition of partitions) set.add(partition)
      all.set(device, set)
    }
    for (const [device, set] of all) {
      for (const partition of set) if (after.some((row) => row[partition] === device)) set.delete(partition)
      this.#writeMoving(device, set)
    }
  }

  #writeMoving(device: number, set: ReadonlySet<number>): void {
    if (set.size === 0) this.#rows('DELETE FROM moving WHERE device = ?', device)
    else this.#rows('INSERT OR REPLACE INTO moving (device, partitions) VALUES (?, ?)', device, bufferOf(Uint32Array.from(set).sort()))
  }

  // ---------------------------------------------------------------- what hosts say and hear

  /** Figures of a host; and partitions that are gone from its devices. */
  report(host_id: string, recon: ObjectRecon, drained: readonly [device: number, partition: number][]): void {
    const now = this.#deps.clock.now_ms()
    const [row] = this.#rows('SELECT at_ms FROM recon WHERE host_id = ?', host_id)
    this.#recon.set(host_id, { at_ms: now, recon })
    if (row === undefined || now - Number(row.at_ms) >= RECON_KEPT_MS) this.#rows('INSERT OR REPLACE INTO recon (host_id, at_ms, recon) VALUES (?, ?, ?)', host_id, now, JSON.stringify(recon))
    const own = new Set(this.#devices().filter((device) => device.host_id === host_id).map((device) => device.id))
    const gone = new Map<number, Set<number>>()
    for (const [device, partition] of drained) if (own.has(device)) gone.set(device, (gone.get(device) ?? new Set()).add(partition))
    if (gone.size === 0) return
    this.#deps.storage.transactionSync(() => {
      for (const { device, partitions } of this.#moving()) {
        const left = gone.get(device)
        if (left !== undefined) this.#writeMoving(device, new Set([...partitions].filter((partition) => !left.has(partition))))
      }
      this.#rows('UPDATE ring SET version = version + 1')
    })
    this.#cached = null
  }

  /** Marks a word that is left with hosts (mark.ts). */
  mark(text: string): string {
    return markOf(this.#markKey(), text)
  }

  isMarked(text: string, mark: string): boolean {
    return isMarkOf(this.#markKey(), text, mark)
  }

  #markKey(): string {
    const known = String(this.#row().mark_key)
    if (known !== '') return known
    this.#rows('UPDATE ring SET mark_key = ?', this.#secret())
    return this.#markKey()
  }

  /** The ring for hosts, or null where they have this revision. */
  forHosts(policy: number, known: string): RingForHosts | null {
    const row = this.#row()
    const revision = `${row.version}.${row.addresses}`
    if (revision === known) return null
    const view = this.current(-1) ?? this.#load()
    return {
      policy, version: view.version, revision, erasure: schemeOf(this.#deps.env, policy), part_power: view.part_power, devices: view.devices, limits: {},
      assignment: view.assignment.map((parts) => Buffer.from(parts.buffer, parts.byteOffset, parts.byteLength).toString('base64')),
      moving: view.moving.flatMap(({ device, partitions }) => [...partitions].map((partition): [number, number] => [device, partition])),
      hosts: this.#rows('SELECT * FROM addresses ORDER BY host_id').map((one) => ({ id: String(one.host_id), storage_ip: one.storage_ip === null ? null : String(one.storage_ip), object_port: one.object_port === null ? null : Number(one.object_port), public_key: String(one.public_key) })),
    }
  }

  status(): RingStatus {
    const row = this.#row()
    const devices = this.#devices()
    const assignment = this.#assignment()
    const live = devices.map((device) => ({ ...device, weight: device.drained || device.removed ? 0 : device.weight }))
    const components = componentsOf(row)
    const { balance, dispersion } = reportOf(assignment, live, Number(row.replicas), Number(row.overload), components)
    const report = new Map(balance.map((one) => [one.id, one]))
    const moving = new Map(this.#moving().map(({ device, partitions }) => [device, partitions.length]))
    const worst = [...report.values()].filter((one) => one.wanted > 0).reduce((most, { parts, wanted }) => Math.max(most, (Math.abs(parts - wanted) / wanted) * 100), 0)
    return {
      version: Number(row.version), part_power: Number(row.part_power), replicas: Number(row.replicas), erasure: schemeOf(this.#deps.env, Number(this.#deps.name)), min_part_hours: Number(row.min_part_hours), overload: Number(row.overload),
      rebalanced_ms: Number(row.rebalanced_ms), moved: Number(row.moved), balance_percent: Math.round(worst * 100) / 100, dispersion, components,
      moving: [...moving.values()].reduce((sum, one) => sum + one, 0),
      devices: devices.map((device) => ({ ...device, parts: report.get(device.id)?.parts ?? 0, wanted: Math.round((report.get(device.id)?.wanted ?? 0) * 10) / 10, moving: moving.get(device.id) ?? 0 })),
      recon: [...this.#recon].map(([host_id, told]) => ({ host_id, ...told })),
    }
  }

  #load(): RingView {
    const row = this.#row()
    const devices = this.#devices().filter((device) => !device.removed).map(({ drained, removed: _, weight_set: __, ...device }) => ({ ...device, weight: drained ? 0 : device.weight }))
    return { version: Number(row.version), part_power: Number(row.part_power), hash_prefix: String(row.hash_prefix), hash_suffix: String(row.hash_suffix), devices, assignment: this.#assignment(), moving: this.#moving() }
  }

  #assignment(): Assignment {
    return this.#rows('SELECT parts FROM replicas ORDER BY replica').map((row) => new Uint16Array(row.parts as ArrayBuffer))
  }

  #moving(): { device: number; partitions: Uint32Array }[] {
    return this.#rows('SELECT * FROM moving ORDER BY device').map((row) => ({ device: Number(row.device), partitions: new Uint32Array(row.partitions as ArrayBuffer) }))
  }

  #devices(): DeviceRow[] {
    return this.#rows('SELECT * FROM devices ORDER BY id').map((row) => ({
      id: Number(row.id), host_id: String(row.host_id), device: String(row.device), region: Number(row.region), zone: String(row.zone), weight: Number(row.weight), drained: row.drained === 1, removed: row.removed === 1,
      weight_set: row.weight_set === null ? null : Number(row.weight_set),
    }))
  }

  /** The ring's own row; its secrets are made once, for they decide where every object lies. */
  #row(): Row {
    const [row] = this.#rows('SELECT * FROM ring')
    if (row !== undefined) return row
    this.#rows('INSERT INTO ring (id, version, part_power, replicas, min_part_hours, overload, hash_prefix, hash_suffix, moved_h, rebalanced_ms, moved) VALUES (1, 0, ?, ?, ?, ?, ?, ?, NULL, 0, 0)',
      PART_POWER_DEFAULT, replicasOf(this.#deps.env, Number(this.#deps.name)) ?? REPLICAS_DEFAULT, MIN_PART_HOURS_DEFAULT, OVERLOAD_DEFAULT, this.#secret(), this.#secret())
    return this.#row()
  }

  #secret(): string {
    return this.#deps.env.SIM === undefined ? randomBytes(16).toString('hex') : Buffer.from(this.#deps.random.bytes(16)).toString('hex')
  }

  #rows(query: string, ...bindings: unknown[]): Row[] {
    return this.#deps.storage.sql.exec(query, ...(bindings as never[])).toArray() as Row[]
  }
}

const componentsOf = (row: Row): Component[] | null => (row.components == null ? null : (JSON.parse(String(row.components)) as Component[]))

const bufferOf = (array: Uint16Array | Uint32Array): ArrayBuffer => array.buffer.slice(array.byteOffset, array.byteOffset + array.byteLength) as ArrayBuffer
