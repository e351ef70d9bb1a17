/**
 * The consistency services of a host's object disks: replicator, reconstructor, updater and auditor, each once per device at a time, at bounded rates, again and again; and all of them at once
 * where the operator asks. What they did is kept as figures, told to the plane with each pass and on request.
 */
import { type DeviceRecon, type HostSyncAnswer, OBJECT_SERVICE_LIMITS, type ObjectRecon, type ObjectServiceLimits, type ObjectServiceName } from '../../schema/agent/replication.ts'
import type { Random } from '../../schema/values/random.ts'
import type { Clock } from '../../schema/values/time.ts'
import type { ObjectDriver } from '../drivers/object/driver.ts'
import { FILE_STORE_DEVICE } from '../host/facts.ts'
import { Lanes } from '../lanes.ts'
import { type Log, messageOf } from '../log.ts'
import type { PlaneHttp } from '../plane.ts'
import type { StateStore } from '../state.ts'
import type { Timers } from '../timers.ts'
import { Absent } from './absent.ts'
import { Auditor } from './auditor.ts'
import { Pace } from './pace.ts'
import { type Lan, Peers } from './peers.ts'
import { Replicator } from './replicator.ts'
import { Reconstructor } from './reconstructor.ts'
import { Resealer } from './resealer.ts'
import { type HostRing, Rings } from './ring.ts'
import { Updater } from './updater.ts'

export interface ObjectServicesDeps {
  driver: ObjectDriver
  host_id: string
  http: PlaneHttp
  store: StateStore
  clock: Clock
  timers: Timers
  random: Random
  log: Log
  lan?: Lan
  /** Of this host, on the storage network. */
  storage_ip?: string | null
}

/** Hosts that connect together ask for rings over this time. */
export const GREETING_SPREAD_MS = 3_000

const ORDER: readonly ObjectServiceName[] = ['updater', 'replicator', 'reconstructor', 'resealer', 'auditor']

export class ObjectServices {
  readonly rings: Rings
  #deps: ObjectServicesDeps
  #offset_ms = 0
  #stopped = true
  /** Of services that wait for their turn, and for how long they were told to. */
  #cancels = new Map<ObjectServiceName, () => void>()
  #waits = new Map<ObjectServiceName, number>()
  #greeting: (() => void) | null = null
  #lanes = new Lanes()
  #recon = new Map<string, Required<DeviceRecon>>()
  #drained: [number, number, number][] = []
  #replicator: Replicator
  #reconstructor: Reconstructor
  #resealer: Resealer
  #roots: readonly string[] = []
  #auditor: Auditor
  #updater: Updater

  constructor(deps: ObjectServicesDeps) {
    this.#deps = deps
    const { driver, host_id, http, clock, timers, log } = deps
    const { replicas } = driver
    const stopped = () => this.#stopped
    const limits = () => this.rings.limits
    const pushed = new Pace(clock, timers)
    this.rings = new Rings(deps.store)
    const peers = new Peers({ host_id, replicas, http, clock, lan: deps.lan ?? null, paced: (bytes) => pushed.take(bytes, limits().replicator_bytes_per_s) })
    const shared = {
      host_id, replicas, rings: this.rings, stopped, log, peer: (id: string, ring: HostRing) => peers.to(id, ring, deps.storage_ip ?? null),
      reclaimBefore: () => ((this.now() / 1_000) - limits().reclaim_age_s).toFixed(5).padStart(16, '0'),
    }
    const absent = new Absent({ now_ms: () => clock.now_ms(), host_lost_s: () => limits().host_lost_s })
    this.#replicator = new Replicator({ ...shared, absent })
    this.#reconstructor = new Reconstructor({ ...shared, absent, paced: (bytes) => pushed.take(bytes, limits().replicator_bytes_per_s) })
    this.#resealer = new Resealer({ replicas, http, roots: () => this.#roots, limits, files: new Pace(clock, timers), bytes: new Pace(clock, timers), stopped, log })
    this.#auditor = new Auditor({ replicas, http, limits, now_ms: () => this.now(), bytes: new Pace(clock, timers), files: new Pace(clock, timers), stopped, log })
    this.#updater = new Updater({ replicas, http, stopped, log })
  }

  async start(): Promise<void> {
    this.#stopped = false
    await this.rings.load().catch((error: unknown) => this.#deps.log('rings_unreadable', { error: messageOf(error) }))
    for (const name of ORDER) this.#schedule(name, this.#deps.random.below(this.#interval_ms(name)))
  }

  stop(): void {
    this.#stopped = true
    this.#greeting?.()
    for (const cancel of this.#cancels.values()) cancel()
  }

  /** The plane's clock minus ours. */
  setOffset(offset_ms: number): void {
    this.#offset_ms = offset_ms
  }

  /** Every service named, once, on every device (or one), at full speed. */
  async run(services: readonly ObjectServiceName[], device?: string): Promise<ObjectRecon> {
    await this.#sync()
    for (const name of ORDER) if (services.includes(name)) await this.#round(name, device, true)
    await this.#sync()
    return await this.recon()
  }

  async recon(): Promise<ObjectRecon> {
    const { driver } = this.#deps
    const names = await this.#devices()
    const failures = driver.replicas.failures()
    const wanted = this.#own()
    const devices: DeviceRecon[] = []
    for (const name of [...new Set([...names, ...wanted])].sort()) {
      const recon = this.#of(name)
      const there = names.includes(name)
      recon.error = there ? null : (failures[name] ?? 'the device is not there')
      if (there) {
        recon.quarantined = await driver.replicas.quarantined(name).catch(() => recon.quarantined)
        recon.async_pending = await driver.replicas.pendingCount(name).catch(() => recon.async_pending)
      }
      devices.push(structuredClone(recon))
    }
    return { ring_version: this.rings.get(0)?.ring.version ?? 0, devices }
  }

  /** The plane's time. */
  now(): number {
    return this.#deps.clock.now_ms() + this.#offset_ms
  }

  async #devices(): Promise<string[]> {
    return (await this.#deps.driver.devices()).map((device) => device.name).filter((name) => name !== FILE_STORE_DEVICE)
  }

  /** What the ring says that this host has. */
  #own(): string[] {
    return (this.rings.get(0)?.ring.devices ?? []).filter((device) => device.host_id === this.#deps.host_id).map((device) => device.device)
  }

  #interval_ms(name: ObjectServiceName): number {
    const limits: ObjectServiceLimits = this.rings.limits ?? OBJECT_SERVICE_LIMITS
    return { auditor: limits.auditor_interval_s, replicator: limits.replicator_interval_s, reconstructor: limits.reconstructor_interval_s, resealer: limits.resealer_interval_s, updater: limits.updater_interval_s }[name] * 1_000
  }

  /** The plane is there (again): its rings and settings may be others. Not all hosts ask at once. */
  connected(): void {
    if (this.#stopped) return
    const { timers, random } = this.#deps
    this.#greeting?.()
    this.#greeting = timers.after(random.below(GREETING_SPREAD_MS), () => void this.#sync())
  }

  /** Services that wait for longer than what is set now begin within that. */
  #adjust(): void {
    for (const [name, cancel] of [...this.#cancels]) {
      const interval_ms = this.#interval_ms(name)
      if (interval_ms >= (this.#waits.get(name) ?? 0)) continue
      cancel()
      this.#schedule(name, this.#deps.random.below(Math.max(1, interval_ms)))
    }
  }

  #schedule(name: ObjectServiceName, delay_ms: number): void {
    if (this.#stopped) return
    this.#waits.set(name, delay_ms)
    this.#cancels.set(name, this.#deps.timers.after(delay_ms, () => {
      this.#cancels.delete(name)
      const work = name === 'replicator' || name === 'reconstructor' || name === 'resealer' ? this.#sync().then(() => this.#round(name)) : this.#round(name)
      void work.catch((error: unknown) => this.#deps.log('object_service_failed', { service: name, error: messageOf(error) })).finally(() => this.#schedule(name, this.#interval_ms(name)))
    }))
  }

  /** Figures out, rings in. A host that can't reach the plane goes on with the rings it has. */
  async #sync(): Promise<void> {
    const { http, log } = this.#deps
    const drained = [...this.#drained, ...(await this.#emptied())]
    this.#drained = []
    try {
      const answer = (await http.call('/agents/v1/objects/sync', { revisions: this.rings.revisions(), recon: await this.recon(), drained })) as HostSyncAnswer
      await this.rings.take(answer.rings, answer.limits)
      this.#roots = answer.roots ?? []
      this.#adjust()
    } catch (error) {
      this.#drained = drained
      log('object_sync_failed', { error: messageOf(error) })
    }
  }

  /** Of what the rings call moving away from here: the partitions that are empty. */
  async #emptied(): Promise<[number, number, number][]> {
    const found: [number, number, number][] = []
    for (const device of await this.#devices()) {
      for (const policy of Object.keys(this.rings.revisions()).map(Number)) {
        const ring = this.rings.get(policy)
        const own = ring?.own(this.#deps.host_id, device)
        const moving = (ring?.ring.moving ?? []).filter(([id]) => id === own?.id)
        if (moving.length === 0) continue
        const held = new Set((await this.#deps.driver.replicas.partitions(device)).filter((one) => one.policy === policy).map((one) => one.partition))
        for (const [id, partition] of moving) if (!held.has(partition)) found.push([policy, id, partition])
      }
    }
    return found
  }

  async #round(name: ObjectServiceName, only?: string, hurry = false): Promise<void> {
    for (const device of await this.#devices()) {
      if (this.#stopped) return
      if (only !== undefined && device !== only) continue
      await this.#lanes.run(`${name}/${device}`, () => this.#pass(name, device, hurry)).catch((error: unknown) => this.#deps.log('object_service_failed', { service: name, device, error: messageOf(error) }))
    }
  }

  async #pass(name: ObjectServiceName, device: string, hurry: boolean): Promise<void> {
    const began = this.#deps.clock.now_ms()
    const recon = this.#of(device)
    const done = <T extends { passes: number; finished_ms: number }>(figures: T, add: Partial<T>): void => {
      for (const [key, value] of Object.entries(add) as [keyof T, number][]) (figures[key] as number) += value
      figures.passes++
      figures.finished_ms = this.now()
      if ('took_ms' in figures) figures.took_ms = this.#deps.clock.now_ms() - began
    }
    if (name === 'replicator') {
      const { partitions, ...sums } = await this.#replicator.pass(device)
      done(recon.replicator, sums)
      recon.replicator.partitions = partitions
    } else if (name === 'reconstructor') {
      const { partitions, ...sums } = await this.#reconstructor.pass(device)
      done(recon.reconstructor, sums)
      recon.reconstructor.partitions = partitions
    } else if (name === 'resealer') {
      const { left, ...sums } = await this.#resealer.pass(device, hurry)
      done(recon.resealer, sums)
      Object.assign(recon.resealer, { left, root: this.#roots[0] ?? '' })
    } else if (name === 'auditor') done(recon.auditor, await this.#auditor.pass(device, hurry))
    else done(recon.updater, await this.#updater.pass(device))
  }

  #of(device: string): Required<DeviceRecon> {
    const found = this.#recon.get(device) ?? {
      device, error: null, quarantined: 0, async_pending: 0, auditor: { passes: 0, finished_ms: 0, took_ms: 0, files: 0, bytes: 0, quarantined: 0, unlisted: 0 },
      replicator: { passes: 0, finished_ms: 0, took_ms: 0, partitions: 0, pushed: 0, filled: 0, drained: 0, reclaimed: 0, failures: 0 }, updater: { passes: 0, finished_ms: 0, told: 0, failures: 0 },
      resealer: { passes: 0, finished_ms: 0, took_ms: 0, files: 0, sealed: 0, left: 0, failures: 0, root: '' },
      reconstructor: { passes: 0, finished_ms: 0, took_ms: 0, partitions: 0, rebuilt: 0, pushed: 0, filled: 0, drained: 0, reclaimed: 0, failures: 0 },
    }
    this.#recon.set(device, found)
    return found
  }
}
