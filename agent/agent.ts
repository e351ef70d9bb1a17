/**
 * One host's agent: what ties link, desired state, reconciler, commands and streams together. Everything it touches is passed in, so that a whole
 * host can run inside a test or a simulation without sockets, files or real time.
 */
import { type ConsoleArgs, type PlaneMessage, PROTOCOL_VERSION } from '../schema/agent/protocol.ts'
import type { ServerSpec } from '../schema/agent/desired.ts'
import type { HostFacts, ObservedItem } from '../schema/agent/observed.ts'
import { Fault } from '../schema/values/fault.ts'
import type { Random } from '../schema/values/random.ts'
import type { Clock } from '../schema/values/time.ts'
import type { Drivers, Images } from './apply.ts'
import { Commands } from './commands.ts'
import { Connection } from './connection.ts'
import type { ConsoleChannel } from './drivers/hypervisor/driver.ts'
import { type HandlerDeps, createHandlers } from './handlers.ts'
import type { HostFiles } from './host/files.ts'
import { Lanes } from './lanes.ts'
import type { LinkTransport } from './link.ts'
import { type Log, messageOf } from './log.ts'
import type { ObjectServices } from './object-services/index.ts'
import type { PlaneHttp } from './plane.ts'
import { Reconciler } from './reconcile.ts'
import { Reporter } from './report.ts'
import { type DesiredMessage, type DesiredState, type StateStore, applyDesired, keyOf } from './state.ts'
import { Streams } from './streams.ts'
import type { Timers } from './timers.ts'

export const FACTS_INTERVAL_MS = 60_000

export interface AgentDeps {
  drivers: Drivers
  images: Images
  /** Filled by the agent with what it loads; the metadata service reads the same object. */
  state: DesiredState
  store: StateStore
  files: HostFiles
  http: PlaneHttp
  transport: LinkTransport
  facts(): Promise<HostFacts>
  convert: HandlerDeps['convert']
  scratch: string
  clock: Clock
  timers: Timers
  random: Random
  log: Log
  /** Auditor, replicator and updater of the object disks. */
  objects?: ObjectServices
  /** Told the plane's clock minus ours at each welcome. */
  clockOffset?(offset_ms: number): void
}

export class Agent {
  private deps: AgentDeps
  private lanes = new Lanes()
  private reconciler: Reconciler
  private reporter: Reporter
  private commands: Commands
  private streams: Streams
  private connection: Connection
  private offset_ms = 0
  private facts = ''
  private cancelFacts: (() => void) | null = null
  /** Messages in the order they came; commands and echoes wait in it alike, so an answered echo means that commands are taken too. */
  private inbox: Promise<void> = Promise.resolve()
  private stopped = false

  constructor(deps: AgentDeps) {
    this.deps = deps
    const { drivers, images, state, clock, timers, random, log, files, http, scratch, convert, transport, store, objects } = deps
    this.reporter = new Reporter(timers, (items) => this.acknowledged(items))
    this.reconciler = new Reconciler({ drivers, images, state, clock, timers, random, lanes: this.lanes, log, report: (items) => this.reporter.add(items) })
    const handlers = createHandlers({ drivers, files, http, lanes: this.lanes, scratch, convert, ...(objects === undefined ? {} : { objects }), changed: (id) => void this.reconciler.machineChanged(id) })
    this.commands = new Commands({ handlers, store, now_ms: () => clock.now_ms() + this.offset_ms, log })
    this.connection = new Connection({
      transport, timers, random, log,
      handlers: {
        hello: () => this.hello(),
        welcome: (message) => this.welcome(message),
        message: (message) => this.message(message),
        frame: (data) => this.streams.frame(data),
        down: () => this.down(),
      },
    })
    this.streams = new Streams(this.connection, drivers.object, log, drivers.hypervisor === undefined ? undefined : (args) => this.openConsole(args))
  }

  /** Converges from what is on disk at once; the link comes up beside it. */
  async start(): Promise<void> {
    const { store, state, files, scratch } = this.deps
    const kept = (await store.load('desired')) as DesiredState | null
    if (kept) Object.assign(state, kept)
    await this.commands.load()
    await files.remove(scratch)
    if (this.stopped) return
    this.connection.start()
    await this.deps.objects?.start()
    await this.reconciler.start()
    this.watchFacts()
  }

  /** Leaves machines, switches and daemons running. */
  async stop(): Promise<void> {
    this.stopped = true
    this.cancelFacts?.()
    this.connection.stop()
    this.reporter.stop()
    this.reconciler.stop()
    this.deps.objects?.stop()
    await this.inbox
  }

  get up(): boolean {
    return this.connection.up
  }

  /** Nothing left to do that could be done now. For simulations. */
  get idle(): boolean {
    return this.reconciler.idle
  }

  private async hello() {
    const facts = await this.deps.facts()
    this.facts = JSON.stringify(lasting(facts))
    return { type: 'hello', protocol_version: PROTOCOL_VERSION, facts, desired_version: this.deps.state.version } as const
  }

  private welcome(message: Extract<PlaneMessage, { type: 'welcome' }>): void {
    this.offset_ms = message.now_ms - this.deps.clock.now_ms()
    this.deps.clockOffset?.(this.offset_ms)
    this.deps.objects?.setOffset(this.offset_ms)
    this.deps.objects?.connected()
    this.deps.log('link_up', { host_id: message.host_id, version: this.deps.state.version })
    this.reporter.connected((report) => this.connection.send(report))
    this.reconciler.reportAll()
  }

  private down(): void {
    this.reporter.disconnected()
    this.streams.closeAll('the host link was lost')
  }

  private message(message: PlaneMessage): void {
    switch (message.type) {
      case 'open': return this.streams.open(message)
      case 'credit': return this.streams.credit(message)
      case 'reset': return this.streams.reset(message.stream, message.error)
      case 'observed_ack': return this.reporter.ack(message.seq)
      case 'desired': return this.enqueue(() => this.desired(message))
      case 'echo': return this.enqueue(async () => {
        const { version } = this.deps.state
        if (message.version !== undefined && message.version > version) return this.connection.restart(`the plane is at ${message.version}, this host at ${version}`)
        this.connection.send({ type: 'echo_reply', nonce: message.nonce })
      })
      case 'command': return this.enqueue(async () => {
        // Not awaited: what follows must not wait for a long copy.
        void this.commands.run(message).then((result) => this.connection.send(result))
      })
      case 'welcome': return
      default: return message satisfies never
    }
  }

  /** Only on the machine that the viewer was let to see: a rebuilt one, or one that is to go, is another. */
  private async openConsole({ server_id, kind, incarnation }: ConsoleArgs): Promise<ConsoleChannel> {
    const item = this.deps.state.items[keyOf('server', server_id)]
    const { hypervisor } = this.deps.drivers
    if (hypervisor === undefined || item?.kind !== 'server' || item.state === 'absent') throw new Fault('not_found', `there is no server ${server_id} on this host`)
    if ((item.spec as ServerSpec).incarnation !== incarnation) throw new Fault('conflict', `server ${server_id} is being changed`)
    return await hypervisor.openConsole(server_id, kind)
  }

  private enqueue(work: () => Promise<void>): void {
    this.inbox = this.inbox.then(work).catch((error: unknown) => this.deps.log('inbox_failed', { error: messageOf(error) }))
  }

  /** Kept on disk before anything is done about it: what was done is never newer than what is remembered. */
  private async desired(message: DesiredMessage): Promise<void> {
    const { state, store, log } = this.deps
    const applied = applyDesired(state, message)
    if (applied.outcome === 'gap') return this.connection.restart(`changes from ${message.from} do not follow ${state.version}`)
    if (applied.outcome === 'stale') return
    try {
      await store.save('desired', state)
    } catch (error) {
      log('state_not_saved', { error: messageOf(error) })
    }
    const again = message.items.filter((item) => !applied.changed.includes(item))
    this.reconciler.wished(applied, again)
  }

  /** The plane knows that it is gone: there is nothing more to remember. */
  private acknowledged(items: readonly ObservedItem[]): void {
    const { state, store } = this.deps
    let dropped = false
    for (const report of items) {
      const key = keyOf(report.kind, report.id)
      const item = state.items[key]
      if (report.status !== 'gone' || item?.state !== 'absent' || item.generation !== report.generation) continue
      delete state.items[key]
      this.reconciler.forget(report.kind, report.id)
      dropped = true
    }
    if (dropped) this.enqueue(() => store.save('desired', state))
  }

  private watchFacts(): void {
    if (this.stopped) return
    this.cancelFacts = this.deps.timers.after(FACTS_INTERVAL_MS, () => {
      this.deps.facts().then((facts) => {
        const text = JSON.stringify(lasting(facts))
        if (text !== this.facts && this.connection.up) {
          this.facts = text
          this.connection.send({ type: 'facts', facts })
        }
      }).catch((error: unknown) => this.deps.log('facts_failed', { error: messageOf(error) })).finally(() => this.watchFacts())
    })
  }
}

/** Facts without what changes by the second. */
const lasting = (facts: HostFacts) => ({ ...facts, uptime_s: 0, object_devices: facts.object_devices.map((one) => ({ ...one, free_bytes: Math.floor(one.free_bytes / 2 ** 28) })) })
