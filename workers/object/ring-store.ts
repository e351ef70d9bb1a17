/**
 * The ring of one storage policy: devices as the hosts report them, the assignment, and its versions. Runs in the Ring object. A host that goes away keeps its
 * devices (its data comes back with it); only a host removed from the region, or a device drained by the operator, loses its partitions.
 */
import { randomBytes } from 'node:crypto'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import { onRegion } from '../../durable-objects/kernel/sessions.ts'
import { Fault } from '../../schema/values/fault.ts'
import type { HostRow } from '../agents/hosts/store.ts'
import { policyAt } from './policies.ts'
import { type Assignment, PART_POWER_DEFAULT, REPLICAS_DEFAULT, type RingDevice, balanceReport, rebalance } from './ring.ts'

export interface RingView {
  version: number
  part_power: number
  hash_prefix: string
  hash_suffix: string
  devices: RingDevice[]
  assignment: Assignment
}

export interface RingStatus {
  version: number
  part_power: number
  replicas: number
  min_part_hours: number
  overload: number
  rebalanced_ms: number
  moved: number
  devices: (RingDevice & { drained: boolean; parts: number; wanted: number })[]
}

export const MIN_PART_HOURS_DEFAULT = 1
export const OVERLOAD_DEFAULT = 0.1
/** Where a host keeps images of the file store: not the ring's. */
export const PRIVATE_DEVICE = 'images'
const GIB = 1024 ** 3
const HOUR_MS = 3_600_000

type Row = Record<string, unknown>

export class RingStore {
  #deps: Deps
  #cached: RingView | null = null

  constructor(deps: Deps) {
    this.#deps = deps
    deps.alarms.handle('rebalance', () => void this.rebalance())
  }

  /** The ring, or null where the caller has this version already. */
  current(known: number): RingView | null {
    this.#cached ??= this.#load()
    return this.#cached.version === known ? null : this.#cached
  }

  /** Asks the region for hosts and takes over what changed. Returns the ring's version. */
  async refresh(): Promise<number> {
    return this.sync(await onRegion(this.#deps.env, 'ring-refresh', (region) => region.hosts.list()))
  }

  sync(hosts: Pick<HostRow, 'id' | 'availability_zone' | 'facts'>[]): number {
    const before = this.#devices()
    let changed = false
    this.#deps.storage.transactionSync(() => {
      for (const host of hosts) {
        for (const device of host.facts?.object_devices ?? []) {
          if (device.name === PRIVATE_DEVICE) continue
          const known = before.find((one) => one.host_id === host.id && one.device === device.name)
          const weight = Math.max(0.01, Math.round((device.total_bytes / GIB) * 100) / 100)
          if (known === undefined) {
            this.#rows('INSERT INTO devices (host_id, device, region, zone, weight) VALUES (?, ?, 1, ?, ?)', host.id, device.name, host.availability_zone, weight)
            changed = true
          } else if (known.zone !== host.availability_zone || Math.abs(known.weight - weight) > known.weight * 0.05) {
            this.#rows('UPDATE devices SET zone = ?, weight = ? WHERE id = ?', host.availability_zone, weight, known.id)
            changed = true
          }
        }
      }
      const ids = new Set(hosts.map((host) => host.id))
      for (const device of before) {
        if (ids.has(device.host_id)) continue
        this.#rows('DELETE FROM devices WHERE id = ?', device.id)
        changed = true
      }
    })
    return changed ? this.rebalance() : this.current(-1)?.version ?? 0
  }

  /** A drained device gets no partitions; what it holds is still read. */
  drain(id: number, drained: boolean): number {
    const known = this.#rows('UPDATE devices SET drained = ? WHERE id = ? RETURNING id', drained ? 1 : 0, id)
    if (known.length === 0) throw new Fault('not_found', `The ring has no device ${id}.`)
    return this.rebalance()
  }

  configure(change: { replicas?: number; min_part_hours?: number; overload?: number }): number {
    const row = { ...this.#row(), ...change }
    this.#rows('UPDATE ring SET replicas = ?, min_part_hours = ?, overload = ?', row.replicas, row.min_part_hours, row.overload)
    return this.rebalance()
  }

  /** Computes the next version. Partitions held back by min_part_hours follow by the alarm. */
  rebalance(): number {
    const row = this.#row()
    const devices = this.#devices()
    const live = devices.map((device) => ({ ...device, weight: device.drained ? 0 : device.weight }))
    const now_h = Math.floor(this.#deps.clock.now_ms() / HOUR_MS)
    const before = this.#assignment()
    const result = rebalance({
      part_power: Number(row.part_power), replicas: Number(row.replicas), devices: live, previous: before, now_h, min_part_hours: Number(row.min_part_hours), overload: Number(row.overload),
      random: this.#deps.random, ...(row.moved_h === null ? {} : { moved_h: new Uint32Array(row.moved_h as ArrayBuffer) }),
    })
    const version = Number(row.version) + 1
    this.#deps.storage.transactionSync(() => {
      this.#rows('DELETE FROM replicas')
      for (const [replica, parts] of result.assignment.entries()) this.#rows('INSERT INTO replicas (replica, parts) VALUES (?, ?)', replica, bufferOf(parts))
      this.#rows('UPDATE ring SET version = ?, moved_h = ?, rebalanced_ms = ?, moved = ?', version, bufferOf(result.moved_h), this.#deps.clock.now_ms(), result.moved)
    })
    this.#cached = null
    this.#deps.log('ring.rebalanced', { ring: this.#deps.name, version, devices: devices.length, moved: result.moved })
    if (result.moved > 0) this.#deps.alarms.at('rebalance', this.#deps.clock.now_ms() + Number(row.min_part_hours) * HOUR_MS)
    return version
  }

  status(): RingStatus {
    const row = this.#row()
    const devices = this.#devices()
    const report = new Map(balanceReport(this.#assignment(), devices.map((device) => ({ ...device, weight: device.drained ? 0 : device.weight }))).map((one) => [one.id, one]))
    return {
      version: Number(row.version), part_power: Number(row.part_power), replicas: Number(row.replicas), min_part_hours: Number(row.min_part_hours), overload: Number(row.overload),
      rebalanced_ms: Number(row.rebalanced_ms), moved: Number(row.moved), devices: devices.map((device) => ({ ...device, parts: report.get(device.id)?.parts ?? 0, wanted: report.get(device.id)?.wanted ?? 0 })),
    }
  }

  #load(): RingView {
    const row = this.#row()
    return { version: Number(row.version), part_power: Number(row.part_power), hash_prefix: String(row.hash_prefix), hash_suffix: String(row.hash_suffix), devices: this.#devices().map(({ drained: _, ...device }) => device), assignment: this.#assignment() }
  }

  #assignment(): Assignment {
    return this.#rows('SELECT parts FROM replicas ORDER BY replica').map((row) => new Uint16Array(row.parts as ArrayBuffer))
  }

  #devices(): (RingDevice & { drained: boolean })[] {
    return this.#rows('SELECT * FROM devices ORDER BY id').map((row) => ({ id: Number(row.id), host_id: String(row.host_id), device: String(row.device), region: Number(row.region), zone: String(row.zone), weight: Number(row.weight), drained: row.drained === 1 }))
  }

  /** The ring's own row; its secrets are made once, for they decide where every object lies. */
  #row(): Row {
    const [row] = this.#rows('SELECT * FROM ring')
    if (row !== undefined) return row
    const secret = () => (this.#deps.env.SIM === undefined ? randomBytes(16).toString('hex') : Buffer.from(this.#deps.random.bytes(16)).toString('hex'))
    this.#rows('INSERT INTO ring (id, version, part_power, replicas, min_part_hours, overload, hash_prefix, hash_suffix, moved_h, rebalanced_ms, moved) VALUES (1, 0, ?, ?, ?, ?, ?, ?, NULL, 0, 0)',
      PART_POWER_DEFAULT, policyAt(this.#deps.env, Number(this.#deps.name))?.replicas ?? REPLICAS_DEFAULT, MIN_PART_HOURS_DEFAULT, OVERLOAD_DEFAULT, secret(), secret())
    return this.#row()
  }

  #rows(query: string, ...bindings: unknown[]): Row[] {
    return this.#deps.storage.sql.exec(query, ...(bindings as never[])).toArray() as Row[]
  }
}

const bufferOf = (array: Uint16Array | Uint32Array): ArrayBuffer => array.buffer.slice(array.byteOffset, array.byteOffset + array.byteLength) as ArrayBuffer
