/**
 * Host: the socket to one agent, the desired state of its machine with generations, what it last observed, streams through the socket. A shell: rows are in
 * desired.ts, the live end in link.ts. Losing the link changes nothing on the host; silence never destroys.
 */
import type { CommandArgs, CommandName, CommandResults } from '../../schema/agent/commands.ts'
import type { DesiredItem } from '../../schema/agent/desired.ts'
import type { HostFacts, ObservedItem } from '../../schema/agent/observed.ts'
import { type AgentMessage, type ConsoleArgs, type ConsoleKind, ECHO_INTERVAL_MS, type FindArgs, type FragmentsFound, HOST_DOWN_AFTER_MS, MESSAGE_BYTES_MAX, type ObjectArgs, type ObjectHead, type ObjectOpArgs, PROTOCOL_VERSION, PROTOCOL_VERSION_CONSOLES, PROTOCOL_VERSION_FIND, PROTOCOL_VERSION_FRAGMENTS, PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_SEALED_FRAGMENTS, PROTOCOL_VERSION_SEALING } from '../../schema/agent/protocol.ts'
import type { StoredVersion } from '../../schema/agent/replication.ts'
import { migrations } from '../../schema/host/migrations.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { Fault, faultStatus, isFault } from '../../schema/values/fault.ts'
import { type Spares, resume } from '../../workers/object/resume.ts'
import { REGION_OBJECT_NAME, type Env } from '../kernel/env.ts'
import { SkyObject } from '../kernel/object.ts'
import { CONSOLES_MAX, CONSOLE_CALLER, CONSOLE_PATH, Consoles, type ViewerSocket } from './consoles.ts'
import { DesiredTable } from './desired.ts'
import { type Found, findOneByOne } from './find.ts'
import { Link, type LinkSocket } from './link.ts'
import { hostTasks } from './tasks.ts'
import { type Transfer, Transfers } from './transfers.ts'

export const COMMAND_DEADLINE_MS = 60_000
/** A reconnect within this time is no outage. */
export const RECONNECT_GRACE_MS = 10_000

/** When a socket was accepted, and what its agent understands; kept with it over hibernation. */
const attachmentOf = (socket: unknown) => ((socket as LinkSocket).deserializeAttachment?.() ?? {}) as { epoch?: number; protocol?: number }
const epochOf = (socket: unknown): number => attachmentOf(socket).epoch ?? 0
const isWelcomed = (socket: unknown): boolean => attachmentOf(socket).protocol !== undefined

export interface HostStatus {
  connected: boolean
  up: boolean
  seen_ms: number
  version: number
  facts: HostFacts | null
}

export class HostObject extends SkyObject {
  #desired: DesiredTable
  #link: Link
  #transfers: Transfers
  #consoles: Consoles
  /** What the agent of this connection understands. */
  #protocol = 0
  #seen_ms = 0
  #folding: Promise<void> | null = null
  /** Number of the last report of this connection. */
  #reported = 0
  /** Of the connection that counts. What an older one still delivers is of a process that is gone. */
  #epoch = 0

  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations, hostTasks)
    this.#desired = new DesiredTable(this.deps)
    this.#transfers = new Transfers(this.deps)
    this.#consoles = new Consoles(this.deps.timers, (callers) => env.REGION.getByName(REGION_OBJECT_NAME).revoked(callers))
    this.#link = new Link(this.deps.timers, () => this.deps.clock.now_ms())
    this.#seen_ms = Number(this.#row().seen_ms)
    const [live] = ((state.getWebSockets?.('agent') ?? []) as unknown as LinkSocket[]).sort((a, b) => epochOf(b) - epochOf(a))
    if (live !== undefined) {
      this.#link.attach(live, isWelcomed(live))
      this.#epoch = epochOf(live)
      this.#protocol = attachmentOf(live).protocol ?? 0
    }
    this.deps.alarms.handle('echo', () => this.#echo())
    this.deps.alarms.handle('fold', () => this.#fold())
    // Reports that were acknowledged and not told to their projects before this object went away.
    if (this.#desired.unfolded().size > 0) this.deps.alarms.at('fold', this.deps.clock.now_ms())
    // An object that wakes without its socket (the process died) must notice that the host may be away.
    if (this.#row().up === 1) this.deps.alarms.at('echo', this.deps.clock.now_ms() + RECONNECT_GRACE_MS)
  }

  // ---------------------------------------------------------------- for the plane

  /** What this host should have; older generations are ignored. Delivered now if it is connected, else when it is. */
  put(items: DesiredItem[]): void {
    const { from, to, changed } = this.#desired.put(items)
    if (changed.length > 0) this.#link.send({ type: 'desired', from, to, items: changed })
  }

  async command<C extends CommandName>(name: C, args: CommandArgs[C], options: { id?: string; deadline_ms?: number } = {}): Promise<CommandResults[C]> {
    return await this.#link.command<C>({ id: options.id ?? this.deps.ids.uuid(), name, args, deadline_ms: options.deadline_ms ?? this.deps.clock.now_ms() + COMMAND_DEADLINE_MS })
  }

  /** An agent that does not know encryption would store plainly what must not be. */
  #checkSealing(seals: boolean): void {
    if (seals && this.#link.connected && this.#protocol < PROTOCOL_VERSION_SEALING) throw new Fault('unavailable', 'The agent of this host is too old for encrypted objects: upgrade it.')
  }

  async objectPut(args: ObjectArgs, body: ReadableStream<Uint8Array>): Promise<ObjectHead> {
    this.#checkSealing(args.sealing?.seal === true)
    if (args.fragment !== undefined) this.#needFragments(args.sealing?.seal === true)
    return (await this.#link.put('object.put', args, body)) as ObjectHead
  }

  /** `spares`: other hosts that have the object. Should this one fail or fall silent in the middle of the body, one of them goes on from there. */
  async objectGet(args: ObjectArgs, spares: Spares = []): Promise<{ head: ObjectHead; body: ReadableStream<Uint8Array> }> {
    const opened: { head: ObjectHead | null } = { head: null }
    const { head, body } = await this.#link.get('object.get', args, spares.length === 0 ? undefined : (sent) => resume(this.deps.env, opened.head, args, spares, sent, (doubted) => this.objectDoubt(doubted)))
    opened.head = head as ObjectHead
    return { head: opened.head, body }
  }

  /** One object on several devices of this host, in one exchange with its agent; with the body as the first has it. */
  async objectsFind(args: FindArgs, spares: Spares = []): Promise<Found> {
    if (this.#protocol < PROTOCOL_VERSION_FIND) return await findOneByOne(this, args, spares)
    const opened: { head: ObjectHead | null } = { head: null }
    const { found, body } = await this.#link.find(args, spares.length === 0 ? undefined : (sent) => resume(this.deps.env, opened.head, args.at, spares, sent, (doubted) => this.objectDoubt(doubted)))
    const [first] = found
    if (first !== undefined && 'head' in first) opened.head = first.head
    return { found, body }
  }

  /** What there is of an erasure-coded object here. */
  async objectFragments(args: ObjectArgs): Promise<FragmentsFound> {
    this.#needFragments()
    return (await this.#link.ask('object.fragments', args)) as FragmentsFound
  }

  /** The fragments of this write count from now on. */
  async objectCommit(args: ObjectArgs): Promise<{ timestamp: string }> {
    this.#needFragments()
    return (await this.#link.ask('object.commit', args)) as { timestamp: string }
  }

  /** Looks again at what a reader found wrong here and right elsewhere. An older agent can't: it goes on with what it has. */
  async objectDoubt(args: ObjectArgs): Promise<{ put_aside: boolean }> {
    if (this.#protocol < PROTOCOL_VERSION_SEALED_FRAGMENTS) return { put_aside: false }
    return (await this.#link.ask('object.doubt', args)) as { put_aside: boolean }
  }

  /** An older agent would take a fragment for a whole object. */
  #needFragments(sealed = false): void {
    if (this.#link.connected && this.#protocol < (sealed ? PROTOCOL_VERSION_SEALED_FRAGMENTS : PROTOCOL_VERSION_FRAGMENTS)) throw new Fault('unavailable', 'The agent of this host is too old for erasure-coded objects: upgrade it.')
  }

  async objectHead(args: ObjectArgs): Promise<ObjectHead> {
    return (await this.#link.ask('object.head', args)) as ObjectHead
  }

  async objectPost(args: ObjectArgs): Promise<ObjectHead> {
    this.#checkSealing(args.sealing?.seal === true)
    return (await this.#link.ask('object.post', args)) as ObjectHead
  }

  async objectDelete(args: ObjectArgs): Promise<{ timestamp: string; existed: boolean }> {
    return (await this.#link.ask('object.delete', args)) as { timestamp: string; existed: boolean }
  }

  /** One host's question about the replicas of this one. */
  async objectQuery(args: ObjectOpArgs['object.query']): Promise<unknown> {
    return await this.#link.ask('object.query', args)
  }

  async objectRead(args: ObjectOpArgs['object.read']): Promise<{ stored: StoredVersion; body: ReadableStream<Uint8Array> }> {
    const { head, body } = await this.#link.get('object.read', args)
    return { stored: head as StoredVersion, body }
  }

  async objectReceive(args: ObjectOpArgs['object.receive'], body: ReadableStream<Uint8Array>): Promise<{ taken: boolean }> {
    this.#checkSealing(args.stored.sealed !== undefined)
    if (args.stored.fragment !== undefined) this.#needFragments(args.stored.sealed !== undefined)
    return (await this.#link.put('object.receive', args, body)) as { taken: boolean }
  }

  /** Keeps word for a container that could not be told. */
  async objectDefer(args: ObjectOpArgs['object.defer']): Promise<void> {
    await this.#link.ask('object.defer', args)
  }

  status(): HostStatus {
    const row = this.#row()
    return { connected: this.#link.connected, up: row.up === 1, seen_ms: Math.max(this.#seen_ms, Number(row.seen_ms)), version: this.#desired.version(), facts: row.facts === null ? null : JSON.parse(String(row.facts)) }
  }

  /** Desired and observed, whole: for `skyhook verify`. */
  inspect(): { desired: DesiredItem[]; observed: ObservedItem[] } {
    return { desired: this.#desired.all(), observed: this.#desired.observed() }
  }

  /** Lets this host move bytes once: the path goes into a command's `transfer_path`. */
  grantTransfer(transfer: Transfer): { path: string } {
    return this.#transfers.grant(transfer)
  }

  transfer(id: string): Transfer {
    return this.#transfers.get(id)
  }

  endTransfer(id: string): void {
    this.#transfers.end(id)
  }

  /** A host may read only images of what runs on it. */
  mayReadImage(imageId: string): boolean {
    return this.#desired.mentions(imageId)
  }

  // ---------------------------------------------------------------- the socket

  /** The upgrade of /agents/v1/link, after the Worker verified the host's signature; or of a viewer, after it used up a console's token. */
  override async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === CONSOLE_PATH) return await this.#view(request, JSON.parse(decodeURIComponent(request.headers.get(CONSOLE_CALLER) ?? '')), { server_id: searchParams.get('server_id') ?? '', kind: searchParams.get('kind') as ConsoleKind, incarnation: Number(searchParams.get('incarnation')) })
    const pair = new WebSocketPair()
    this.accept(pair[1] as unknown as LinkSocket)
    return new Response(null, { status: 101, webSocket: pair[0] } as ResponseInit)
  }

  /** While a viewer looks, this object stays awake: its socket is not a hibernating one, for the bytes in flight are in memory only. */
  async #view(request: Request, caller: Caller, args: ConsoleArgs): Promise<Response> {
    try {
      if (this.#link.connected && this.#protocol < PROTOCOL_VERSION_CONSOLES) throw new Fault('not_implemented', 'The agent of this host is too old for consoles: upgrade it.')
      if (this.#consoles.count >= CONSOLES_MAX) throw new Fault('unavailable', `${CONSOLES_MAX} consoles of this host are open.`)
      const line = await this.#link.talk(args)
      const pair = new WebSocketPair()
      const socket = pair[1] as unknown as ViewerSocket & { binaryType?: string; accept(): void }
      socket.binaryType = 'arraybuffer'
      socket.accept()
      void this.#consoles.carry(socket, line, caller)
      // What older viewers ask for, and hang up without.
      const binary = request.headers.get('sec-websocket-protocol')?.split(',').some((name) => name.trim() === 'binary') ?? false
      return new Response(null, { status: 101, webSocket: pair[0], headers: binary ? { 'sec-websocket-protocol': 'binary' } : {} } as ResponseInit)
    } catch (error) {
      if (!isFault(error)) throw error
      return new Response(JSON.stringify({ kind: error.kind, message: error.message }), { status: faultStatus(error) })
    }
  }

  /** One socket a host: a newer one replaces the older. */
  accept(socket: LinkSocket): void {
    const before = this.#live()
    this.ctx.acceptWebSocket(socket as never, ['agent'])
    this.#epoch = Math.max(this.#epoch + 1, this.deps.clock.now_ms())
    socket.serializeAttachment?.({ epoch: this.#epoch })
    for (const old of before) old.close(4000, 'replaced by a newer connection')
    this.#link.detach('it connected anew')
    this.#link.attach(socket, false)
    this.#reported = 0
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    if (epochOf(socket) < this.#epoch) return
    if (!this.#link.isCurrent(socket as unknown as LinkSocket)) this.#link.attach(socket as unknown as LinkSocket, isWelcomed(socket as unknown as LinkSocket))
    if (typeof data !== 'string') return this.#link.receiveFrame(new Uint8Array(data))
    if (data.length > MESSAGE_BYTES_MAX) return socket.close(1009, 'message too large')
    let message: AgentMessage
    try {
      message = JSON.parse(data) as AgentMessage
    } catch {
      return socket.close(1007, 'not JSON')
    }
    if (this.#link.receive(message)) return
    await this.#handle(message, socket as unknown as LinkSocket)
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    if (epochOf(socket) < this.#epoch) return
    this.#link.detach('the connection was closed')
    this.deps.alarms.at('echo', this.deps.clock.now_ms() + RECONNECT_GRACE_MS)
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.webSocketClose(socket)
  }

  async #handle(message: AgentMessage, socket: LinkSocket): Promise<void> {
    switch (message.type) {
      case 'hello':
        return this.#hello(message, socket)
      case 'facts':
        return this.#facts(message.facts)
      case 'observed':
        // An older report that comes late or twice must not undo a newer one; its sender only wants to know that it arrived.
        if (message.seq <= this.#reported) return void this.#link.send({ type: 'observed_ack', seq: message.seq })
        this.#desired.observe(message.items)
        this.#reported = message.seq
        this.#link.send({ type: 'observed_ack', seq: message.seq })
        return await this.#fold()
      case 'echo_reply':
        this.#seen_ms = this.deps.clock.now_ms()
        return
      default:
        return
    }
  }

  #hello(message: Extract<AgentMessage, { type: 'hello' }>, socket: LinkSocket): void {
    if (message.protocol_version < PROTOCOL_VERSION_MIN) return socket.close(4001, `protocol ${message.protocol_version} is too old: upgrade the agent (${PROTOCOL_VERSION_MIN} or newer)`)
    const now = this.deps.clock.now_ms()
    this.#seen_ms = now
    this.#protocol = message.protocol_version
    socket.serializeAttachment?.({ epoch: this.#epoch, protocol: this.#protocol })
    this.#link.send({ type: 'welcome', protocol_version: Math.min(PROTOCOL_VERSION, message.protocol_version), host_id: this.deps.name, now_ms: now })
    const version = this.#desired.version()
    const known = message.desired_version <= version ? message.desired_version : 0
    this.#link.send({ type: 'desired', from: known, to: version, items: this.#desired.since(known === 0 ? -1 : known) })
    this.#facts(message.facts)
    this.deps.alarms.at('echo', now + ECHO_INTERVAL_MS)
  }

  #facts(facts: HostFacts): void {
    const text = JSON.stringify(facts)
    this.deps.commit({ request_id: 'link', user_id: 'host' }, (tx) => {
      this.deps.storage.sql.exec('UPDATE link SET up = 1, seen_ms = ?, facts = ?', tx.now_ms, text)
      tx.outbox('host-report', { up: true, facts }, { key: 'report' })
      if (facts.object_devices.length > 0) tx.outbox('ring-refresh', {}, { key: 'ring' })
    })
  }

  /** Liveness is an echo through the agent's command queue. A deaf host is down: nothing new goes there, nothing on it is touched. */
  #echo(): void {
    const now = this.deps.clock.now_ms()
    const live = this.#link.attached && this.#live().length > 0
    if (live && now - this.#seen_ms <= HOST_DOWN_AFTER_MS) {
      this.#link.send({ type: 'echo', nonce: String(now), version: this.#desired.version() })
      if (this.#row().up !== 1) this.#report(true)
      this.deps.alarms.at('echo', now + ECHO_INTERVAL_MS)
      return
    }
    for (const socket of this.#live()) socket.close(4002, 'no echo')
    this.#link.detach('it does not answer')
    this.#report(false)
  }

  #report(up: boolean): void {
    this.deps.commit({ request_id: 'link', user_id: 'host' }, (tx) => {
      this.deps.storage.sql.exec('UPDATE link SET up = ?, seen_ms = ?', up ? 1 : 0, this.#seen_ms)
      tx.outbox('host-report', { up, facts: null }, { key: 'report' })
    })
  }

  /** Tells the projects what was seen. One at a time; what fails is tried again by the alarm. */
  async #fold(): Promise<void> {
    if (this.#folding !== null) {
      await this.#folding
      if (this.#desired.unfolded().size === 0) return
      return await this.#fold()
    }
    this.#folding = this.#foldOnce().finally(() => {
      this.#folding = null
    })
    await this.#folding
  }

  async #foldOnce(): Promise<void> {
    await Promise.all([...this.#desired.unfolded()].map(async ([projectId, items]) => {
      try {
        await this.deps.env.PROJECT.getByName(projectId).observed(this.deps.name, items)
        this.#desired.folded(items)
      } catch (error) {
        this.deps.log('host.fold_failed', { project_id: projectId, error: String((error as Error)?.message ?? error) })
        this.deps.alarms.at('fold', this.deps.clock.now_ms() + 1_000)
      }
    }))
  }

  #live(): LinkSocket[] {
    return this.ctx.getWebSockets('agent') as unknown as LinkSocket[]
  }

  #row(): Record<string, unknown> {
    return this.deps.storage.sql.exec('SELECT up, seen_ms, facts FROM link').toArray()[0] as Record<string, unknown>
  }
}

