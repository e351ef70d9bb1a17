/**
 * How this host reaches another one's replicas: straight over the storage network where both have an address on it, else through the plane, which asks the other host over
 * its link. An address that did not answer is left alone for a while.
 */
import type { ReceiveArgs, ReplicaAnswers, ReplicaQueries, StoredVersion, VersionAt } from '../../schema/agent/replication.ts'
import { type Fault, isFault } from '../../schema/values/fault.ts'
import type { Clock } from '../../schema/values/time.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'
import type { PlaneHttp } from '../plane.ts'
import { answerQuery, type Ask } from './answer.ts'
import { unframed } from './framed.ts'
import type { HostRing } from './ring.ts'

export const LAN_AVOIDED_MS = 5 * 60_000

export interface Peer {
  ask: Ask
  /** Brings one of our versions there; false where it has one as new. */
  push(from: VersionAt, to: VersionAt): Promise<boolean>
  /** A fragment that lies there. The reader must end or destroy the body. */
  read(from: VersionAt): Promise<Whole>
}

/** A version with all that is stored with it. */
export interface Whole {
  stored: StoredVersion
  body: AsyncIterable<Uint8Array>
}

/** A host on the same network. Throws LAN_GONE-coded errors where it cannot be reached at all. */
export interface Lan {
  ask<Q extends keyof ReplicaQueries>(host: LanHost, what: Q, args: ReplicaQueries[Q]): Promise<ReplicaAnswers[Q]>
  send(host: LanHost, args: ReceiveArgs, body: AsyncIterable<Uint8Array>): Promise<boolean>
  read(host: LanHost, from: VersionAt): Promise<Whole>
}

export interface LanHost {
  id: string
  address: string
  port: number
}

export interface PeersDeps {
  host_id: string
  replicas: ObjectReplicas
  http: PlaneHttp
  clock: Clock
  /** Null where this host has no address for others. */
  lan: Lan | null
  /** Told how many bytes are about to go. */
  paced(bytes: number): Promise<void>
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'

export class Peers {
  #deps: PeersDeps
  #avoided = new Map<string, number>()

  constructor(deps: PeersDeps) {
    this.#deps = deps
  }

  to(host_id: string, ring: HostRing, own_ip: string | null): Peer {
    if (host_id === this.#deps.host_id) return this.#self()
    const host = ring.host(host_id)
    const plane = this.#plane(host_id)
    const reachable = host?.storage_ip != null && host.object_port != null && own_ip !== null && isLoopback(host.storage_ip) === isLoopback(own_ip)
    const { lan, clock } = this.#deps
    if (lan === null || !reachable || (this.#avoided.get(host_id) ?? 0) > clock.now_ms()) return plane
    const direct = this.#direct(lan, { id: host_id, address: host.storage_ip ?? '', port: host.object_port ?? 0 })
    const or = async <T>(first: () => Promise<T>, second: () => Promise<T>): Promise<T> => {
      try {
        return await first()
      } catch (error) {
        if (!isUnreached(error)) throw error
        this.#avoided.set(host_id, clock.now_ms() + LAN_AVOIDED_MS)
        return await second()
      }
    }
    return { ask: (what, args) => or(() => direct.ask(what, args), () => plane.ask(what, args)), push: (from, to) => or(() => direct.push(from, to), () => plane.push(from, to)), read: (from) => or(() => direct.read(from), () => plane.read(from)) }
  }

  #self(): Peer {
    const { replicas } = this.#deps
    return {
      ask: async (what, args) => (await answerQuery(replicas, { what, ...args } as never)) as never,
      push: async (from, to) => {
        const { stored, body } = await replicas.read(from)
        return await this.#closing(body, () => replicas.receive({ ...to, stored }, this.#measured(body)))
      },
      read: (from) => replicas.read(from),
    }
  }

  #direct(lan: Lan, host: LanHost): Peer {
    return {
      ask: (what, args) => lan.ask(host, what, args),
      push: async (from, to) => {
        const { stored, body } = await this.#deps.replicas.read(from)
        return await this.#closing(body, () => lan.send(host, { ...to, stored }, this.#measured(body)))
      },
      read: (from) => lan.read(host, from),
    }
  }

  #plane(host_id: string): Peer {
    const { http, replicas, paced } = this.#deps
    return {
      ask: async (what, args) => (await http.call(`/agents/v1/objects/peers/${host_id}/query`, { query: { what, ...args } })) as never,
      push: async (from, to) => {
        // Only its size is needed here: the bytes go by the links.
        const { stored, body } = await replicas.read(from)
        await body[Symbol.asyncIterator]().return?.()
        await paced(stored.size_bytes ?? 0)
        return ((await http.call(`/agents/v1/objects/peers/${host_id}/relay`, { from, to })) as { taken: boolean }).taken
      },
      read: async ({ device, policy, partition, hash, timestamp, fragment = -1 }) => {
        const query = new URLSearchParams({ device, policy: String(policy), partition: String(partition), hash, timestamp, fragment: String(fragment) })
        return await unframed((await http.get(`/agents/v1/objects/peers/${host_id}/fragment?${query}`)).body)
      },
    }
  }

  async *#measured(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      await this.#deps.paced(chunk.length)
      yield chunk
    }
  }

  async #closing<T>(body: AsyncIterable<Uint8Array>, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } finally {
      await body[Symbol.asyncIterator]().return?.()
    }
  }
}

/** What a transport says where nobody answered: nothing was done there. */
export const unreached = (fault: Fault): Fault => Object.assign(fault, { type: 'Unreached' })
export const isUnreached = (error: unknown): boolean => isFault(error) && error.type === 'Unreached'
