/**
 * Containers and accounts as the handlers in a door call them. With the plane there each call goes to it, and what it says of containers is remembered; without it, what is
 * remembered answers, writes get their time here (after everything seen of the container) and their updates wait on disk.
 */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { DoorCall } from '../../schema/agent/door.ts'
import type { SealingKey } from '../../schema/agent/sealing.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import type { ContainerInfo, ObjectRow } from '../../workers/object/container/store.ts'
import { metaOf } from '../../workers/object/headers.ts'
import { headReplicas } from '../../workers/object/replicas.ts'
import type { BucketConfig } from '../../workers/object/s3/store.ts'
import { Stamps } from '../../workers/object/timestamp.ts'
import type { Log } from '../log.ts'
import type { Timers } from '../timers.ts'
import { evidenceNow, hasty } from './evidence.ts'
import { type DoorPlane, isUnreachable } from './plane.ts'
import type { Presence } from './presence.ts'
import type { DoorStore, Pending } from './store.ts'

/** What is learned of containers is written down this much later, all of it at once. */
export const LEARN_AFTER_MS = 1_000
/** What is known of a container is good for the begin of a write for this long: as long as the handlers themselves remember ACLs and quotas. */
export const FRESH_MS = 1_000
const FRESH_MAX = 2_000
/** Containers whose keys are remembered. */
export const KEYS_MAX = 10_000

interface Fresh {
  info: ContainerInfo
  heard_ms: number
  stamps: Stamps
}

export interface KnownContainer {
  info: ContainerInfo
  /** The latest time seen of it. */
  last: string
  /** What S3 keeps with it, where it was asked for. */
  config?: BucketConfig
}

export interface ContainersDeps {
  plane: DoorPlane
  presence: Presence
  store: DoorStore
  timers: Timers
  log: Log
  env(): Env
}

type Call = Omit<DoorCall, 'evidence'>

/** Versions are made and found by the container: without the plane none can be. */
const isVersioned = (info: ContainerInfo): boolean => Object.keys(info.metadata).some((name) => /version|history/.test(name))

const offline = (what: string): Fault => new Fault('unavailable', `The plane cannot be reached, and ${what}.`, { headers: { 'retry-after': '5' } })

export class Containers {
  #deps: ContainersDeps
  #stamps = new Stamps(null)
  #learned = new Map<string, unknown>()
  #fresh = new Map<string, Fresh>()
  #timer: (() => void) | null = null
  /** Keys of encrypted objects, by container: in memory alone, so that a host that is carried away knows none. */
  #keys = new Map<string, readonly SealingKey[]>()

  constructor(deps: ContainersDeps) {
    this.#deps = deps
    for (const { call } of deps.store.pending(100_000)) for (const value of call.args) this.#saw(value)
  }

  container(key: string): unknown {
    const at = key.indexOf('/')
    return this.#stub({ on: 'container', account: key.slice(0, at), container: key.slice(at + 1) })
  }

  account(name: string): unknown {
    return this.#stub({ on: 'account', account: name, container: null })
  }

  /** A container that is gone, or was changed past the handlers. */
  forget(account: string, container: string | null): void {
    this.#fresh.delete(keyOf({ on: 'container', account, container }))
    this.#learn(keyOf({ on: container === null ? 'account' : 'container', account, container }), null)
  }

  /** Something was changed past the handlers: writes ask the plane for their time. */
  forgetFresh(): void {
    this.#fresh.clear()
  }

  /** Asks for what is not known yet. */
  async meet(account: string, container: string): Promise<void> {
    const ask = async (where: Pick<Call, 'on' | 'account' | 'container'>) => {
      if (this.#known(keyOf(where)) === null) await this.#call({ ...where, method: 'info', args: [] })
    }
    await Promise.all([ask({ on: 'container', account, container }), ask({ on: 'account', account, container: null }), this.keys(account, container, null)])
  }

  /** None where there are none, or where they were not asked for before the plane went away: then what is encrypted can't be read here. */
  async keys(account: string, container: string, object: string | null): Promise<readonly SealingKey[]> {
    const { plane, presence } = this.#deps
    const { roots } = presence
    if (roots.length === 0) return []
    const key = `${account}/${container}`
    const known = this.#keys.get(key) ?? []
    if (known.length === roots.length && known.every(({ root }, n) => root === roots[n])) return known
    if (!presence.online && !presence.delivering) return known
    try {
      const keys = (await plane.call(evidenceNow(), { on: 'container', account, container, method: 'keys', args: [object] })) as SealingKey[]
      if (this.#keys.size >= KEYS_MAX) this.#keys.clear()
      this.#keys.set(key, keys)
      return keys
    } catch (error) {
      if (!isUnreachable(error)) throw error
      presence.lost(error, 'container keys')
      return known
    }
  }

  flush(): void {
    this.#timer?.()
    this.#timer = null
    if (this.#learned.size === 0) return
    const learned = this.#learned
    this.#learned = new Map()
    this.#deps.store.learn(learned, this.#deps.presence.now_ms())
  }

  /** What tokens of an application credential may do: asked of the plane each time it is not known to the handlers. */
  async accessRules(id: string): Promise<unknown> {
    if (!this.#deps.presence.online) throw offline('this credential was not used here before')
    return await this.#deps.plane.call(evidenceNow(), { on: 'identity', account: id, container: null, method: 'accessRules', args: [id] })
  }

  #stub(where: Pick<Call, 'on' | 'account' | 'container'>): unknown {
    // Not a promise: awaiting the stub must not ask it for `then`.
    return new Proxy({}, { get: (_, method) => (typeof method !== 'string' || method === 'then' ? undefined : (...args: unknown[]) => this.#call({ ...where, method, args })) })
  }

  async #call(call: Call): Promise<unknown> {
    const { plane, presence } = this.#deps
    if (presence.online) {
      const begun = call.method === 'begin' ? this.#beginHere(call) : null
      if (begun !== null) return begun
      try {
        const value = await plane.call(evidenceNow(), call)
        this.#heard(call, value)
        return value
      } catch (error) {
        if (!isUnreachable(error)) throw error
        presence.lost(error, `${call.on} ${call.method}`)
      }
    }
    return call.on === 'account' ? this.#accountAlone(call) : await this.#containerAlone(call)
  }

  /**
   * A plain PUT into a container that was heard of a moment ago gets its time here, after all that was heard: one trip less. Should that time turn out too early (a write
   * at the plane came between, by a clock a little ahead), the server does the request again with a time of the container's.
   */
  #beginHere(call: Call): unknown {
    const mark = hasty.get(evidenceNow())
    const fresh = this.#fresh.get(keyOf(call))
    const now_ms = this.#deps.presence.now_ms()
    if (mark === undefined || fresh === undefined || now_ms - fresh.heard_ms > FRESH_MS || isVersioned(fresh.info) || fresh.info.metadata['x-container-meta-quota-count'] !== undefined) return null
    mark.used = true
    return { info: fresh.info, existing: null, timestamp: fresh.stamps.next(now_ms) }
  }

  #hearOf(key: string, info: ContainerInfo, timestamp: string): void {
    if (this.#fresh.size >= FRESH_MAX) this.#fresh.clear()
    const stamps = this.#fresh.get(key)?.stamps ?? new Stamps(null)
    stamps.saw(timestamp)
    this.#fresh.set(key, { info, heard_ms: this.#deps.presence.now_ms(), stamps })
  }

  #heard(call: Call, value: unknown): void {
    const key = keyOf(call)
    if (call.method === 'info') {
      if (call.on === 'account') return this.#learn(key, value)
      return this.#heardContainer(key, value === null ? null : { info: value as ContainerInfo })
    }
    if (call.method === 's3Bucket') return this.#heardContainer(key, value as { info: ContainerInfo; config: BucketConfig } | null)
    if ((call.method !== 'begin' && call.method !== 's3Begin') || value === null || !Object.hasOwn(value as object, 'info')) return
    const { info, timestamp } = value as { info: ContainerInfo; timestamp: string }
    this.#saw(timestamp)
    this.#hearOf(key, info, timestamp)
    this.#learn(key, { ...this.#known<KnownContainer>(key), info, last: timestamp } satisfies KnownContainer)
  }

  #heardContainer(key: string, value: Pick<KnownContainer, 'info' | 'config'> | null): void {
    if (value === null) {
      this.#fresh.delete(key)
      return this.#learn(key, null)
    }
    this.#hearOf(key, value.info, value.info.put_at)
    this.#learn(key, { last: '', ...this.#known<KnownContainer>(key), ...value } satisfies KnownContainer)
  }

  #accountAlone(call: Call): unknown {
    if (call.method === 'throttle') return 0
    const known = call.method === 'info' ? this.#known(keyOf(call)) : null
    if (known === null) throw offline('this needs the account')
    return known
  }

  async #containerAlone(call: Call): Promise<unknown> {
    const { store, presence } = this.#deps
    const known = this.#known<KnownContainer>(keyOf(call))
    const name = typeof call.args[0] === 'string' ? call.args[0] : ''
    switch (call.method) {
      case 'info':
        return this.#need(known).info
      case 's3Bucket': {
        const { info, config } = this.#need(known)
        if (config === undefined) throw offline('this bucket was not used here before')
        return { info, config }
      }
      case 'object':
        return await this.#existing(call, this.#need(known).info, name)
      case 'begin': {
        const { info, last } = this.#need(known)
        if (isVersioned(info)) throw offline('this container keeps versions')
        if (last !== '') this.#stamps.saw(last)
        return { info, existing: await this.#existing(call, info, name), timestamp: this.#stamps.next(presence.now_ms()) }
      }
      case 'throttle':
        return 0
      case 'putObject':
      case 'postObject':
      case 'deleteObject': {
        // The write may have begun with the plane there: then the container is known.
        const { info } = this.#need(known)
        await store.add({ evidence: { ...evidenceNow(), at_ms: presence.now_ms() }, call, object: objectOf(call, info) }, presence.now_ms())
        return call.method === 'putObject'
      }
      default:
        throw offline(call.method === 'list' || call.method === 'listText' ? 'listings are there only' : 'this needs the container')
    }
  }

  #need(known: KnownContainer | null): KnownContainer {
    if (known === null) throw offline('this container was not used here before')
    return known
  }

  /** What the disks have stands for the row. */
  async #existing({ account, container }: Call, info: ContainerInfo, object: string): Promise<ObjectRow | null> {
    const found = await headReplicas(this.#deps.env(), { account, container: container ?? '', object }, info.policy, this.#deps.presence.now_ms()).catch((error: unknown) => {
      if (isFault(error, 'not_found')) return null
      throw error
    })
    if (found === null) return null
    const { head } = found
    this.#saw(head.timestamp)
    const deleteAt = metaOf(head.metadata, 'x-delete-at')
    return {
      name: object, at: head.timestamp, modified_at: head.timestamp, size: head.size_bytes, etag: head.etag, content_type: metaOf(head.metadata, 'content-type') ?? 'application/octet-stream',
      delete_at: deleteAt === undefined ? null : Number(deleteAt), slo_etag: metaOf(head.metadata, 'x-object-sysmeta-slo-etag') ?? null, slo_size: Number(metaOf(head.metadata, 'x-object-sysmeta-slo-size') ?? Number.NaN) || null, version: '', extra: null,
    }
  }

  #known<T>(key: string): T | null {
    return (this.#learned.has(key) ? this.#learned.get(key) : this.#deps.store.known<T>(key)) as T | null
  }

  #learn(key: string, value: unknown): void {
    this.#learned.set(key, value)
    this.#timer ??= this.#deps.timers.after(LEARN_AFTER_MS, () => {
      this.#timer = null
      this.flush()
    })
  }

  /** Times in arguments and answers: what is written here comes after all of them. */
  #saw(value: unknown): void {
    const times = typeof value === 'object' && value !== null ? Object.values(value) : [value]
    for (const time of times) if (typeof time === 'string' && /^\d{10}\.\d{5}$/.test(time)) this.#stamps.saw(time)
  }
}

const keyOf = ({ on, account, container }: Pick<Call, 'on' | 'account' | 'container'>): string => (on === 'account' ? `a ${account}` : `c ${account}/${container}`)

function objectOf({ account, container, args }: Call, info: ContainerInfo): Pending['object'] {
  const [first, second] = args
  const row = typeof first === 'string' ? { name: first, at: String(second) } : (first as { name: string; at: string })
  return { account, container: container ?? '', object: row.name, policy: info.policy, timestamp: row.at }
}
