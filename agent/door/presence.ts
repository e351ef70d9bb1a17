/**
 * Whether the plane is there, and what it last said: ring, token keys, revocations, other doors, settings. Asked every two seconds, kept on disk, so that a door that starts
 * without the plane knows what it knew. Coming back, what was acknowledged meanwhile is delivered first.
 */
import { DOOR_STATE_EVERY_MS, type DoorHost, type DoorRing, type DoorState } from '../../schema/agent/door.ts'
import type { Caller, Revocation } from '../../schema/values/caller.ts'
import { RevocationIndex } from '../../schema/values/revocations.ts'
import type { Clock } from '../../schema/values/time.ts'
import type { PublicKey } from '../../schema/values/token.ts'
import type { RingView } from '../../workers/object/ring-store.ts'
import { type Log, messageOf } from '../log.ts'
import type { Timers } from '../timers.ts'
import type { DoorPlane } from './plane.ts'
import type { DoorStore } from './store.ts'

interface Kept {
  rings: Record<string, DoorRing>
  keys: PublicKey[]
  cursor: number
  revocations: Revocation[]
  hosts: DoorHost[]
  vars: Record<string, string>
  roots: string[]
  /** The plane's clock minus ours. */
  offset_ms: number
}

export interface PresenceDeps {
  plane: DoorPlane
  store: DoorStore
  clock: Clock
  timers: Timers
  log: Log
  /** Revocations or settings are not what they were. */
  changed(what: { revocations: boolean; vars: boolean }): void
  /** Delivers what waits; throws while the plane does not take it. */
  deliver(): Promise<void>
}

const DOCUMENT = 'state'
const EMPTY: Kept = { rings: {}, keys: [], cursor: 0, revocations: [], hosts: [], vars: {}, roots: [], offset_ms: 0 }

export class Presence {
  #deps: PresenceDeps
  #kept: Kept
  #rings: Map<string, RingView>
  #revoked: RevocationIndex
  #online = false
  #delivering = false
  #seen_ms = 0
  #stopped = false
  #cancel: (() => void) | null = null
  #polling: Promise<void> | null = null

  constructor(deps: PresenceDeps) {
    this.#deps = deps
    this.#kept = { ...EMPTY, ...deps.store.document<Kept>(DOCUMENT) }
    this.#revoked = new RevocationIndex(this.#kept.revocations)
    this.#rings = new Map(Object.entries(this.#kept.rings).map(([policy, ring]) => [policy, ringOf(ring)]))
  }

  /** False from the first call that does not get through until the plane has answered and has everything that waited. */
  get online(): boolean {
    return this.#online
  }

  get seen_ms(): number {
    return this.#seen_ms
  }

  /** By storage policy. */
  get rings(): ReadonlyMap<string, RingView> {
    return this.#rings
  }

  get keys(): PublicKey[] {
    return this.#kept.keys
  }

  get revocations(): Revocation[] {
    return this.#kept.revocations
  }

  /** As far as this door heard. */
  isRevoked(caller: Caller): boolean {
    return this.#revoked.matches(caller)
  }

  get vars(): Record<string, string> {
    return this.#kept.vars
  }

  /** Ids of the root secrets of encrypted objects. */
  get roots(): readonly string[] {
    return this.#kept.roots
  }

  /** What waited is being told to the plane: it is there, though the door is not online yet. */
  get delivering(): boolean {
    return this.#delivering
  }

  host(id: string): DoorHost | null {
    return this.#kept.hosts.find((host) => host.id === id) ?? null
  }

  /** The plane's time, as near as it is known. */
  now_ms(): number {
    return Math.round(this.#deps.clock.now_ms() + this.#kept.offset_ms)
  }

  async start(): Promise<void> {
    await this.poll()
    this.#schedule()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#polling
  }

  lost(error: unknown, during: string): void {
    if (!this.#online) return
    this.#online = false
    this.#deps.log('door_offline', { during, error: messageOf(error) })
  }

  /** Asks now. One at a time. */
  poll(): Promise<void> {
    this.#polling ??= this.#ask().finally(() => {
      this.#polling = null
    })
    return this.#polling
  }

  #schedule(): void {
    if (this.#stopped) return
    this.#cancel = this.#deps.timers.after(DOOR_STATE_EVERY_MS, () => void this.poll().finally(() => this.#schedule()))
  }

  async #ask(): Promise<void> {
    const { plane, clock, log } = this.#deps
    try {
      const started = clock.now_ms()
      const state = await plane.state(Object.fromEntries(Object.entries(this.#kept.rings).map(([policy, { version }]) => [policy, version])), this.#kept.cursor)
      this.#take(state, started, clock.now_ms())
      if (this.#online && this.#deps.store.pendingCount === 0) return
      this.#delivering = true
      await this.#deps.deliver().finally(() => {
        this.#delivering = false
      })
      if (this.#online) return
      this.#online = true
      log('door_online', {})
    } catch (error) {
      if (this.#online) this.lost(error, 'state')
      else log('door_waits', { error: messageOf(error) })
    }
  }

  #take(state: DoorState, asked_ms: number, answered_ms: number): void {
    // The plane looked at its clock between both: an offset that agrees with that is kept, whatever the way took.
    const doubt_ms = (answered_ms - asked_ms) / 2
    const seen_ms = state.now_ms - (asked_ms + answered_ms) / 2
    const offset_ms = this.#seen_ms !== 0 && Math.abs(seen_ms - this.#kept.offset_ms) <= doubt_ms ? this.#kept.offset_ms : seen_ms
    const before = this.#kept
    const live = before.revocations.filter((event) => event.expires_ms >= state.now_ms)
    const kept: Kept = {
      rings: { ...before.rings, ...state.rings }, keys: state.keys, cursor: state.revocations.cursor, revocations: [...live, ...state.revocations.events], hosts: state.hosts, vars: state.vars, roots: state.roots ?? [], offset_ms,
    }
    this.#seen_ms = state.now_ms
    this.#kept = kept
    this.#revoked.drop(state.now_ms)
    for (const event of state.revocations.events) this.#revoked.add(event)
    for (const [policy, ring] of Object.entries(state.rings)) this.#rings.set(policy, ringOf(ring))
    const vars = JSON.stringify(before.vars) !== JSON.stringify(kept.vars)
    const changed = { revocations: state.revocations.events.length > 0, vars }
    // The offset changes each time and is no reason to write.
    if (JSON.stringify({ ...before, offset_ms: 0 }) !== JSON.stringify({ ...kept, offset_ms: 0 }) || Math.abs(before.offset_ms - kept.offset_ms) > 100) this.#deps.store.keep(DOCUMENT, kept)
    if (changed.revocations || changed.vars) this.#deps.changed(changed)
  }
}

function ringOf(ring: DoorRing): RingView {
  const row = (text: string): Uint16Array => {
    const bytes = Buffer.from(text, 'base64')
    return new Uint16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
  }
  return { ...ring, assignment: ring.assignment.map(row), moving: (ring.moving ?? []).map(({ device, partitions }) => ({ device, partitions: Uint32Array.from(partitions) })) }
}
