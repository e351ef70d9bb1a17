/**
 * Keeps the host link up: connects, says hello with the version it has, and again after every loss, with backoff and full jitter so that a
 * thousand hosts do not come back in the same second. What is said on it is others' business.
 */
import { type AgentMessage, MESSAGE_BYTES_MAX, type PlaneMessage, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN } from '../schema/agent/protocol.ts'
import type { Random } from '../schema/values/random.ts'
import type { LinkSocket, LinkTransport } from './link.ts'
import { type Log, messageOf } from './log.ts'
import { parseMessage } from './messages.ts'
import { type Timers, backoff } from './timers.ts'

export const RECONNECT = { base_ms: 500, cap_ms: 30_000, floor_ms: 50 }
export const RECONNECT_NEAR = { ...RECONNECT, cap_ms: 2_000 }
/** From connecting to the plane's welcome. */
export const WELCOME_TIMEOUT_MS = 20_000

export interface ConnectionHandlers {
  hello(): Promise<AgentMessage>
  welcome(message: Extract<PlaneMessage, { type: 'welcome' }>): void
  message(message: PlaneMessage): void
  frame(data: Uint8Array): void
  down(): void
}

export class Connection {
  private deps: { transport: LinkTransport; timers: Timers; random: Random; log: Log; handlers: ConnectionHandlers }
  private socket: LinkSocket | null = null
  private welcomed = false
  private attempt = 0
  private stopped = true
  private epoch = 0
  private cancelTimer: (() => void) | null = null

  constructor(deps: Connection['deps']) {
    this.deps = deps
  }

  get up(): boolean {
    return this.welcomed
  }

  start(): void {
    this.stopped = false
    this.connect()
  }

  stop(): void {
    this.stopped = true
    this.cancelTimer?.()
    this.drop(1001, 'the agent stops')
  }

  /** Begins anew: hello makes the plane send what we lack. */
  restart(reason: string): void {
    this.drop(1000, reason)
  }

  send(message: AgentMessage): void {
    if (this.socket) this.socket.send(JSON.stringify(message))
  }

  sendFrame(frame: Uint8Array): void {
    this.socket?.send(frame)
  }

  private drop(code: number, reason: string): void {
    const { socket } = this
    if (!socket) return
    const epoch = this.epoch
    socket.close(code, reason)
    this.closed(epoch, code, reason)
  }

  private connect(): void {
    const epoch = ++this.epoch
    const { transport, timers } = this.deps
    const current = (work: () => void) => () => {
      if (this.epoch === epoch) work()
    }
    this.cancelTimer = timers.after(WELCOME_TIMEOUT_MS, current(() => this.drop(1000, 'no welcome in time')))
    this.socket = transport.connect({
      opened: current(() => void this.greet(epoch)),
      message: (data) => {
        if (this.epoch === epoch) this.received(data)
      },
      closed: (code, reason) => this.closed(epoch, code, reason),
    })
  }

  private async greet(epoch: number): Promise<void> {
    const hello = await this.deps.handlers.hello()
    if (this.epoch === epoch) this.send(hello)
  }

  private closed(epoch: number, code: number, reason: string): void {
    if (this.epoch !== epoch) return
    this.epoch++
    this.socket = null
    this.cancelTimer?.()
    const was = this.welcomed
    this.welcomed = false
    if (was) this.deps.handlers.down()
    if (this.stopped) return
    const delay_ms = backoff(this.attempt++, this.deps.random, this.deps.transport.near ? RECONNECT_NEAR : RECONNECT)
    this.deps.log('link_down', { code, reason, retry_in_ms: delay_ms })
    this.cancelTimer = this.deps.timers.after(delay_ms, () => this.connect())
  }

  private received(data: string | Uint8Array): void {
    const { handlers, log } = this.deps
    try {
      if (typeof data !== 'string') {
        if (data.byteLength > MESSAGE_BYTES_MAX) return this.drop(1009, 'message too large')
        if (this.welcomed) handlers.frame(data)
        return
      }
      const message = parseMessage(data)
      if (!message) return log('message_unknown', { start: data.slice(0, 60) })
      if (message.type !== 'welcome') {
        if (this.welcomed) handlers.message(message)
        return
      }
      if (message.protocol_version < PROTOCOL_VERSION_MIN) {
        log('plane_too_old', { plane: message.protocol_version, agent: PROTOCOL_VERSION, oldest: PROTOCOL_VERSION_MIN })
        return this.drop(1002, `this agent needs protocol ${PROTOCOL_VERSION_MIN} or newer`)
      }
      this.cancelTimer?.()
      this.welcomed = true
      this.attempt = 0
      handlers.welcome(message)
    } catch (error) {
      log('message_bad', { error: messageOf(error) })
      this.drop(1008, 'a message could not be understood')
    }
  }
}
