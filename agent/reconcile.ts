/**
 * The loop: plan, run what may run, note how it went, report, plan again. One item never holds up another: each has its own
 * failures and its own next attempt. Slow kinds (machines, volumes) and quick ones (networks) have separate room, so a large image
 * on its way does not keep a port waiting.
 */
import type { DesiredItem, Kind } from '../schema/agent/desired.ts'
import type { ObservedItem } from '../schema/agent/observed.ts'
import { isFault } from '../schema/values/fault.ts'
import type { Random } from '../schema/values/random.ts'
import type { Clock } from '../schema/values/time.ts'
import { type Applier, type Drivers, type Images, apply, observe } from './apply.ts'
import type { Lanes } from './lanes.ts'
import { type Log, messageOf } from './log.ts'
import { type Action, type Actual, type PlanInput, type Progress, emptyActual, newProgress, orphans, plan, powerAgrees, runnable, statusOf } from './plan.ts'
import { type Applied, type DesiredState, keyOf } from './state.ts'
import { type Timers, backoff } from './timers.ts'

export const PARALLEL_MAX = 4
export const RETRY = { base_ms: 500, cap_ms: 60_000, floor_ms: 100 }
/** How often the drivers are asked what there really is. */
export const AUDIT_INTERVAL_MS = 60_000
const AUDIT_AGAIN_MS = 5_000
/** A machine that crashed longer ago than this starts again at once. */
const CRASH_FORGOTTEN_MS = 600_000
const PERMANENT = ['bad_request', 'not_implemented', 'unprocessable', 'insufficient_storage', 'too_large', 'unsupported_media', 'forbidden'] as const
const QUICK: readonly Kind[] = ['network', 'port', 'router']

export interface ReconcilerDeps {
  drivers: Drivers
  images: Images
  state: DesiredState
  clock: Clock
  timers: Timers
  random: Random
  lanes: Lanes
  log: Log
  report(items: ObservedItem[]): void
}

export class Reconciler {
  private deps: ReconcilerDeps
  private actual: Actual = emptyActual()
  private progress = new Map<string, Progress>()
  private running = new Set<string>()
  private crashes = new Map<string, { count: number; at_ms: number }>()
  private reported = new Map<string, string>()
  private orphaned = new Map<string, ObservedItem>()
  private cancelWake: (() => void) | null = null
  private cancelAudit: (() => void) | null = null
  private pending = false
  private stopped = true
  private auditing: Promise<void> | null = null
  /** Actions begun so far: a picture taken while one ran may be older than its outcome. */
  private begun = 0

  constructor(deps: ReconcilerDeps) {
    this.deps = deps
  }

  async start(): Promise<void> {
    this.stopped = false
    this.deps.drivers.hypervisor?.onChange((id) => void this.machineChanged(id))
    await this.audit()
  }

  stop(): void {
    this.stopped = true
    this.cancelWake?.()
    this.cancelAudit?.()
  }

  get idle(): boolean {
    return this.running.size === 0 && !this.pending
  }

  serverState(id: string) {
    return this.actual.servers.get(id)
  }

  /** Takes the outcome of applyDesired: what else a change makes stale, and reports anew for what was sent. */
  wished(applied: Extract<Applied, { outcome: 'applied' }>, again: readonly DesiredItem[]): void {
    for (const item of [...applied.changed, ...applied.dropped]) this.touch(item)
    for (const item of applied.dropped) this.forget(item.kind, item.id)
    for (const item of again) this.reported.delete(keyOf(item.kind, item.id))
    this.kick()
  }

  /** After a reconnect everything is said again: the plane may have lost what it was told. */
  reportAll(): void {
    this.reported.clear()
    this.kick()
  }

  forget(kind: Kind, id: string): void {
    const key = keyOf(kind, id)
    this.progress.delete(key)
    this.reported.delete(key)
  }

  kick(): void {
    if (this.pending || this.stopped) return
    this.pending = true
    queueMicrotask(() => {
      this.pending = false
      if (!this.stopped) this.pump()
    })
  }

  /** A port that leaves takes its DHCP entry along only when its network is ensured again. */
  private touch(item: DesiredItem): void {
    if (item.kind !== 'port' || item.state === 'present') return
    const progress = this.progress.get(keyOf('network', (item as DesiredItem<'port'>).spec.network_id))
    if (progress) progress.stale = true
  }

  private input() {
    return { desired: this.deps.state.items, actual: this.actual, progress: this.progress }
  }

  private pump(): void {
    const { clock, timers } = this.deps
    const now_ms = clock.now_ms()
    const actions = plan(this.input())
    for (const action of runnable(actions, this.running, now_ms)) {
      const quick = QUICK.includes(action.kind)
      let same = 0
      for (const key of this.running) if (QUICK.some((kind) => key.startsWith(`${kind}/`)) === quick) same++
      if (same < PARALLEL_MAX) void this.run(action)
    }
    this.reportChanges(actions)
    const waiting = actions.filter((action) => action.due_at_ms > now_ms).map((action) => action.due_at_ms)
    this.cancelWake?.()
    this.cancelWake = waiting.length > 0 ? timers.after(Math.max(1, Math.min(...waiting) - now_ms), () => this.kick()) : null
  }

  private async run(action: Action): Promise<void> {
    const { log, lanes, clock, random } = this.deps
    this.running.add(action.key)
    this.begun++
    const progress = this.progress.get(action.key) ?? newProgress()
    this.progress.set(action.key, progress)
    if (progress.tried !== action.generation) Object.assign(progress, { tried: action.generation, failures: 0, error: null, permanent: false })
    progress.stale = false
    const applier: Applier = { drivers: this.deps.drivers, images: this.deps.images, desired: () => this.deps.state.items, actual: this.actual }
    const began = clock.now_ms()
    try {
      await lanes.run(action.key, () => apply(action, applier))
      Object.assign(progress, { generation: action.generation, failures: 0, error: null, permanent: false, next_at_ms: 0 })
      log('applied', { op: action.op, kind: action.kind, id: action.id, generation: action.generation, took_ms: clock.now_ms() - began })
    } catch (error) {
      progress.failures++
      progress.error = messageOf(error)
      progress.permanent = PERMANENT.some((kind) => isFault(error, kind))
      progress.stale = progress.generation === action.generation
      progress.next_at_ms = clock.now_ms() + (progress.permanent ? RETRY.cap_ms : backoff(progress.failures, random, RETRY))
      log('failed', { op: action.op, kind: action.kind, id: action.id, generation: action.generation, failures: progress.failures, error: progress.error })
    } finally {
      this.running.delete(action.key)
      this.kick()
    }
  }

  private reportChanges(actions: readonly Action[]): void {
    const byKey = new Map(actions.map((action) => [action.key, action]))
    const input = this.input()
    const items = Object.values(input.desired).map((item) => statusOf(item, input, byKey))
    // Before the first word from the plane nothing here can be called an orphan.
    if (this.deps.state.version > 0) items.push(...this.orphanReports(input))
    const fresh = items.filter((item) => {
      const key = keyOf(item.kind, item.id)
      const text = JSON.stringify(item)
      if (this.reported.get(key) === text) return false
      this.reported.set(key, text)
      return true
    })
    if (fresh.length > 0) this.deps.report(fresh)
  }

  /** Orphans, and once more each that is no longer there. */
  private orphanReports(input: PlanInput): ObservedItem[] {
    const found = orphans(input)
    const keys = new Set(found.map((item) => keyOf(item.kind, item.id)))
    for (const [key, item] of this.orphaned) {
      if (keys.has(key)) continue
      this.orphaned.delete(key)
      this.reported.delete(key)
      if (!input.desired[key]) found.push({ kind: item.kind, id: item.id, generation: 0, status: 'gone' })
    }
    for (const item of found) if (item.orphan) this.orphaned.set(keyOf(item.kind, item.id), item)
    return found
  }

  /** Looks again at everything; discarded where something was done meanwhile. */
  async audit(): Promise<void> {
    if (this.auditing) return this.auditing
    this.auditing = this.look().finally(() => {
      this.auditing = null
    })
    return this.auditing
  }

  private async look(): Promise<void> {
    this.cancelAudit?.()
    const begun = this.begun
    let next_ms = AUDIT_INTERVAL_MS
    try {
      const found = await observe(this.deps.drivers)
      if (this.running.size > 0 || this.begun !== begun) next_ms = AUDIT_AGAIN_MS
      else {
        for (const item of Object.values(this.deps.state.items)) {
          // A port without a machine here leaves nothing that a driver could list.
          const bare = item.kind === 'port' && item.state === 'present' && (item as DesiredItem<'port'>).spec.server_id === null
          if (bare && this.progress.get(keyOf('port', item.id))?.generation === item.generation) found.ports.add(item.id)
        }
        Object.assign(this.actual, found)
      }
    } catch (error) {
      this.deps.log('audit_failed', { error: messageOf(error) })
    }
    if (this.stopped) return
    this.cancelAudit = this.deps.timers.after(next_ms, () => void this.audit())
    this.kick()
  }

  /** A machine stopped by itself. Crashes are restarted, ever more slowly; a guest that powered off stays off. */
  async machineChanged(id: string): Promise<void> {
    const { drivers, clock, random, log, lanes } = this.deps
    try {
      await lanes.run(keyOf('server', id), async () => {
        const state = (await drivers.hypervisor?.list())?.find((one) => one.id === id)
        if (state) this.actual.servers.set(id, state)
        else this.actual.servers.delete(id)
        const item = this.deps.state.items[keyOf('server', id)] as DesiredItem<'server'> | undefined
        const progress = this.progress.get(keyOf('server', id))
        log('machine_changed', { id, power: state?.power ?? 'gone', guest_shutdown: state?.guest_shutdown ?? false })
        if (!state || !item || !progress || item.state !== 'present' || powerAgrees(item.spec, state)) return
        const now_ms = clock.now_ms()
        const crash = this.crashes.get(id)
        const count = crash && now_ms - crash.at_ms < CRASH_FORGOTTEN_MS ? crash.count + 1 : 0
        this.crashes.set(id, { count, at_ms: now_ms })
        progress.next_at_ms = count === 0 ? 0 : now_ms + backoff(count, random, RETRY)
      })
    } catch (error) {
      log('machine_change_failed', { id, error: messageOf(error) })
    }
    this.kick()
  }
}
