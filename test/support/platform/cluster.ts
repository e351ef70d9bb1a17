/**
 * All objects of a cloud in one Node process: the real object classes over simulated storage, alarms and RPC. Used by API tests (real time) and by the
 * seeded simulator (its own clock). Arguments and results are copied as RPC would; errors keep name, message and own fields, never their class.
 */
import { type Fault, isFault } from '../../../schema/values/fault.ts'
import { systemClock, type Clock } from '../../../schema/values/time.ts'
import { systemRandom, type Random } from '../../../schema/values/random.ts'
import { RpcTarget } from './workers.ts'
import { type SimDisk, SimStorage, newDisk, resetError } from './storage.ts'

// biome-ignore lint/suspicious/noExplicitAny: classes of any constructor.
type AnyClass = new (state: any, env: any) => any

export interface ClusterOptions {
  classes: Record<string, AnyClass>
  vars?: Record<string, string>
  clock?: Clock
  random?: Random
  timers?: { after(delay_ms: number, work: () => void): () => void }
  log?: (event: string, fields: Record<string, unknown>) => void
  /** Called before each call between objects (and its answer): the simulator delays, drops or crashes here. */
  hop?: (where: string) => Promise<void>
  /** Where HASHER calls go; absent: in process. */
  hasher?: (request: Request) => Promise<Response>
}

interface Slot {
  disk: SimDisk
  instance: unknown
  storage: SimStorage | null
  sockets: SimSocketState[]
  timer: ReturnType<typeof setTimeout> | null
  /** One alarm of an object runs at a time. */
  firing: boolean
  /** Ends of the calls under way. */
  calls: Set<() => void>
}

/** The platform retries a failed alarm after about this long. */
const ALARM_RETRY_MS = 2_000

export interface SimSocketState {
  tags: string[]
  socket: unknown
}

export class Cluster {
  readonly env: Record<string, unknown>
  #options: ClusterOptions
  #slots = new Map<string, Slot>()
  #clock: Clock
  /** False in the simulator, which fires alarms itself. */
  realTimers: boolean

  constructor(options: ClusterOptions) {
    this.#options = options
    this.realTimers = options.timers === undefined
    this.#clock = options.clock ?? systemClock
    this.env = { ...options.vars, SIM: { clock: this.#clock, random: options.random ?? systemRandom, ...(options.timers ? { timers: options.timers } : {}), log: options.log ?? (() => {}) } }
    const { hasher } = options
    if (hasher) this.env.HASHER = { fetch: (url: string, init: RequestInit) => hasher(new Request(url, init)) }
    for (const name of Object.keys(options.classes)) this.env[name] = { getByName: (id: string) => this.#stub(name, id) }
  }

  /** The live instance (booted where it is not): for tests that look inside. */
  // biome-ignore lint/suspicious/noExplicitAny: of any class.
  instance(kind: string, id: string): any {
    const key = `${kind}/${id}`
    let slot = this.#slots.get(key)
    if (slot === undefined) {
      slot = { disk: newDisk(), instance: null, storage: null, sockets: [], timer: null, firing: false, calls: new Set() }
      this.#slots.set(key, slot)
    }
    if (slot.instance === null) {
      const mine = slot
      const storage = new SimStorage(slot.disk, () => this.#arm(key, mine))
      slot.storage = storage
      const Class = this.#options.classes[kind]
      if (Class === undefined) throw new Error(`no object class ${kind}`)
      const state = {
        id: { name: id, toString: () => key }, storage, waitUntil: () => {}, blockConcurrencyWhile: (work: () => Promise<unknown>) => work(),
        acceptWebSocket: (socket: unknown, tags: string[] = []) => mine.sockets.push({ socket, tags }),
        getWebSockets: (tag?: string) => mine.sockets.filter((entry) => tag === undefined || entry.tags.includes(tag)).map((entry) => entry.socket),
        setWebSocketAutoResponse: () => {}, getTags: (socket: unknown) => mine.sockets.find((entry) => entry.socket === socket)?.tags ?? [],
      }
      slot.instance = new Class(state, this.#envOf(storage))
      this.#arm(key, slot)
    }
    return slot.instance
  }

  /** Every object that has a disk: 'KIND/name'. */
  objects(): { kind: string; id: string }[] {
    return [...this.#slots.keys()].map((key) => ({ kind: key.slice(0, key.indexOf('/')), id: key.slice(key.indexOf('/') + 1) }))
  }

  /** Grows with every row written: what has the same version has not changed. */
  version(kind: string, id: string): number {
    const [row] = this.#slots.get(`${kind}/${id}`)?.disk.database.prepare('SELECT total_changes() AS n').all() ?? []
    return Number(row?.n ?? 0)
  }

  /** Forgets the instance, as a crash or an eviction does; its disk and alarm stay. */
  crash(kind: string, id: string): void {
    const slot = this.#slots.get(`${kind}/${id}`)
    if (slot === undefined || slot.instance === null) return
    if (slot.storage !== null) slot.storage.dead = true
    slot.instance = null
    for (const fail of [...slot.calls]) fail()
    const sockets = slot.sockets
    slot.sockets = []
    for (const { socket } of sockets) (socket as { cut?(): void }).cut?.()
  }

  dropSocket(kind: string, id: string, socket: unknown): void {
    const slot = this.#slots.get(`${kind}/${id}`)
    if (slot !== undefined) slot.sockets = slot.sockets.filter((entry) => entry.socket !== socket)
  }

  /** Fires what is due, side by side; answers how many alarms ran. */
  async fireAlarms(): Promise<number> {
    const due = [...this.#slots].filter(([, slot]) => !slot.firing && slot.disk.alarm_ms !== null && slot.disk.alarm_ms <= this.#clock.now_ms())
    await Promise.all(due.map(([key, slot]) => this.#fire(key, slot)))
    return due.length
  }

  nextAlarm_ms(): number | null {
    const times = [...this.#slots.values()].filter((slot) => !slot.firing).map((slot) => slot.disk.alarm_ms).filter((at): at is number => at !== null)
    return times.length === 0 ? null : Math.min(...times)
  }

  closed = false

  close(): void {
    this.closed = true
    this.realTimers = false
    for (const slot of this.#slots.values()) {
      if (slot.timer !== null) clearTimeout(slot.timer)
      slot.disk.database.close()
    }
  }

  #arm(key: string, slot: Slot): void {
    if (!this.realTimers || slot.firing || slot.disk.alarm_ms === null) return
    if (slot.timer !== null) clearTimeout(slot.timer)
    slot.timer = setTimeout(() => void (this.closed || this.#fire(key, slot)), Math.max(0, slot.disk.alarm_ms - this.#clock.now_ms()))
    slot.timer.unref?.()
  }

  /** An alarm runs at least once: one whose handler failed, or whose object was reset meanwhile, fires again. */
  async #fire(key: string, slot: Slot): Promise<void> {
    slot.disk.alarm_ms = null
    slot.firing = true
    const at = key.indexOf('/')
    const instance = this.instance(key.slice(0, at), key.slice(at + 1))
    let failed = false
    try {
      await this.#survive(key, instance.alarm?.())
    } catch {
      failed = true
    } finally {
      slot.firing = false
    }
    if ((failed || slot.instance !== instance) && !this.closed) {
      const again = this.#clock.now_ms() + ALARM_RETRY_MS
      slot.disk.alarm_ms = slot.disk.alarm_ms === null ? again : Math.min(slot.disk.alarm_ms, again)
    }
    if (!this.closed) this.#arm(key, slot)
  }

  /** Bindings of one instance: once it has crashed it can call nobody. */
  #envOf(storage: SimStorage): Record<string, unknown> {
    const env = { ...this.env }
    for (const name of Object.keys(this.#options.classes)) env[name] = { getByName: (id: string) => this.#stub(name, id, storage) }
    return env
  }

  /** A call that is under way fails with its object. */
  async #survive<T>(key: string, work: T | Promise<T>): Promise<T> {
    const slot = this.#slots.get(key)
    if (slot === undefined || !(work instanceof Promise)) return await work
    return await new Promise<T>((resolve, reject) => {
      const fail = () => reject(resetError(`${key} was reset`))
      slot.calls.add(fail)
      work.then(resolve, reject).finally(() => slot.calls.delete(fail))
    })
  }

  #stub(kind: string, id: string, from?: SimStorage): unknown {
    const hop = async (where: string) => {
      if (from?.dead) throw resetError('the calling object was reset')
      await this.#options.hop?.(where)
      if (from?.dead) throw resetError('the calling object was reset')
    }
    return remote(async () => this.instance(kind, id), `${kind}/${id}`, { hop, survive: (where, work) => this.#survive(where.replace(/^!+/, ''), work) }, [])
  }
}

/** How a call gets to its object and back: delayed, lost, or cut off by the object's end. */
interface Road {
  hop(where: string): Promise<void>
  survive<T>(where: string, work: T | Promise<T>): Promise<T>
}

/** A proxy that collects property names until it is called or awaited, as promise pipelining does. */
function remote(target: () => Promise<unknown>, where: string, road: Road, path: string[]): unknown {
  const resolve = async () => {
    let at = (await target()) as Record<string, unknown>
    for (const name of path) at = at[name] as Record<string, unknown>
    return at
  }
  return new Proxy(() => {}, {
    get: (_, name) => {
      if (typeof name !== 'string') return undefined
      if (name === 'then') {
        if (path.length === 0 && where.startsWith('!')) return undefined
        if (path.length === 0) return undefined
        const promise = resolve()
        return promise.then.bind(promise)
      }
      return remote(target, where, road, [...path, name])
    },
    apply: (_, __, args: unknown[]) => {
      const result = (async () => {
        await road.hop(`${where}.${path.join('.')}`)
        let at = (await target()) as Record<string, unknown>
        for (const name of path.slice(0, -1)) at = at[name] as Record<string, unknown>
        const method = at[path.at(-1) ?? '']
        if (typeof method !== 'function') throw new TypeError(`${where} has no method ${path.join('.')}`)
        try {
          const value = await road.survive(where, method.apply(at, args.map(copy)))
          await road.hop(`${where}.${path.join('.')} answered`)
          return value instanceof RpcTarget ? value : copy(value)
        } catch (error) {
          throw isFault(error) ? copyFault(error) : error
        }
      })()
      result.catch(() => {})
      return pipelined(result, where, road)
    },
  })
}

function pipelined(result: Promise<unknown>, where: string, road: Road): unknown {
  return new Proxy(() => {}, {
    get: (_, name) => {
      if (name === 'then' || name === 'catch' || name === 'finally') {
        const settled = result.then((value) => (value instanceof RpcTarget ? remote(async () => value, `!${where}`, road, []) : value))
        settled.catch(() => {})
        return (settled as unknown as Record<string, (...args: unknown[]) => unknown>)[name]?.bind(settled)
      }
      if (typeof name !== 'string') return undefined
      return remote(() => result, `!${where}`, road, [name])
    },
  })
}

const passes = (value: unknown) => value instanceof ReadableStream || value instanceof Request || value instanceof Response
function copy(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || passes(value)) return value
  if (Array.isArray(value)) return value.map(copy)
  if (value instanceof Map || value instanceof Set || value instanceof Date || ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return structuredClone(value)
  const proto = Object.getPrototypeOf(value)
  if (proto !== Object.prototype && proto !== null) throw new TypeError(`Could not serialize object of type "${value.constructor.name}". This type does not support serialization.`)
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copy(inner)]))
}

function copyFault(fault: Fault): Error {
  const error = new Error(fault.message)
  error.name = 'Fault'
  return Object.assign(error, { kind: fault.kind, type: fault.type, status: fault.status, headers: fault.headers, details: copy(fault.details) })
}
