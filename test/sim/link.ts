/** The host link without sockets: messages between one agent and its Host object take virtual time, and may be lost, doubled or swapped; connections are cut. */
import type { LinkEvents, LinkTransport } from '../../agent/link.ts'
import type { Cluster } from '../support/platform/cluster.ts'
import type { World } from './world.ts'

export interface LinkFaults {
  /** One message in so many; 0 is never. */
  drop_one_in: number
  double_one_in: number
  swap_one_in: number
  cut_one_in: number
  delay_max_ms: number
}

export const NO_LINK_FAULTS: LinkFaults = { drop_one_in: 0, double_one_in: 0, swap_one_in: 0, cut_one_in: 0, delay_max_ms: 5 }

export class SimNet {
  #world: World
  #cluster: Cluster
  faults: LinkFaults = NO_LINK_FAULTS
  /** Hosts whose WAN is cut: nothing passes, nothing connects. */
  readonly cut = new Set<string>()
  #live = new Map<string, SimLinkSocket>()

  constructor(world: World, cluster: Cluster) {
    this.#world = world
    this.#cluster = cluster
  }

  transport(hostId: () => string): LinkTransport {
    return { connect: (events) => this.#connect(hostId(), events) }
  }

  /** Cuts the WAN of a host: both ends see the connection end. */
  sever(hostId: string): void {
    this.cut.add(hostId)
    this.#live.get(hostId)?.cut()
  }

  mend(hostId: string): void {
    this.cut.delete(hostId)
  }

  #connect(hostId: string, events: LinkEvents) {
    const socket = new SimLinkSocket(this.#world, this.#cluster, this, hostId, events)
    this.#world.after(1 + this.#world.random.below(this.faults.delay_max_ms + 1), () => {
      if (this.cut.has(hostId)) return socket.agentGone(1006, 'no route')
      this.#live.set(hostId, socket)
      socket.open()
    })
    return { send: (data: string | Uint8Array) => socket.fromAgent(data), close: () => socket.cut() }
  }
}

type Data = string | Uint8Array

/** Plane side of one connection: what the Host object holds. */
class SimLinkSocket {
  #world: World
  #cluster: Cluster
  #net: SimNet
  #hostId: string
  #events: LinkEvents
  #over = false
  #lastArrival = { plane: 0, agent: 0 }

  constructor(world: World, cluster: Cluster, net: SimNet, hostId: string, events: LinkEvents) {
    this.#world = world
    this.#cluster = cluster
    this.#net = net
    this.#hostId = hostId
    this.#events = events
  }

  #attachment: unknown = null

  serializeAttachment(value: unknown): void {
    this.#attachment = structuredClone(value)
  }

  deserializeAttachment(): unknown {
    return this.#attachment
  }

  open(): void {
    if (this.#over) return
    this.#cluster.instance('HOST', this.#hostId).accept(this)
    this.#events.opened()
  }

  /** From the Host object to the agent. */
  send(data: Data | ArrayBuffer): void {
    if (this.#over) throw new Error('the socket is closed')
    this.#carry('agent', data as Data, (arrived) => this.#events.message(typeof arrived === 'string' ? arrived : new Uint8Array(arrived)))
  }

  fromAgent(data: Data): void {
    this.#carry('plane', data, (arrived) => {
      const bytes = typeof arrived === 'string' ? arrived : arrived.buffer.slice(arrived.byteOffset, arrived.byteOffset + arrived.byteLength)
      void Promise.resolve(this.#cluster.instance('HOST', this.#hostId).webSocketMessage(this, bytes)).catch(() => {})
    })
  }

  close(): void {
    this.cut()
  }

  /** Both ends learn of it, each in its own time. */
  cut(): void {
    if (this.#over) return
    this.#over = true
    this.#cluster.dropSocket('HOST', this.#hostId, this)
    this.#world.after(this.#world.random.below(10), () => this.#events.closed(1006, 'cut'))
    this.#world.after(this.#world.random.below(10), () => void Promise.resolve(this.#cluster.instance('HOST', this.#hostId).webSocketClose(this)).catch(() => {}))
  }

  agentGone(code: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#events.closed(code, reason)
  }

  #carry(to: 'plane' | 'agent', data: Data, deliver: (data: Data) => void): void {
    if (this.#over || this.#net.cut.has(this.#hostId)) return
    const { faults } = this.#net
    const hit = (one_in: number) => one_in > 0 && this.#world.oneIn(one_in)
    if (hit(faults.cut_one_in)) return this.cut()
    if (hit(faults.drop_one_in)) return
    const now = this.#world.clock.now_ms()
    this.#world.note(`${this.#hostId} to ${to} ${typeof data === 'string' ? data : data.byteLength}`)
    // In order, as a connection keeps it, unless this one is swapped with its neighbours.
    const at = hit(faults.swap_one_in) ? now : Math.max(this.#lastArrival[to], now + this.#world.random.below(faults.delay_max_ms + 1))
    this.#lastArrival[to] = Math.max(this.#lastArrival[to], at)
    const arrive = () => {
      if (!this.#over) deliver(data)
    }
    this.#world.after(at - now, arrive)
    if (hit(faults.double_one_in)) this.#world.after(at - now + 1, arrive)
  }
}
