/**
 * The live end of the host link: one socket, commands waiting for results, byte streams with credits. All of it is memory: whatever matters survives in
 * rows or is asked again. Knows nothing of what the messages mean to projects.
 */
import type { Command, CommandName, CommandResults } from '../../schema/agent/commands.ts'
import { type AgentMessage, FRAME_BYTES_MAX, FRAME_LAST, type ConsoleArgs, type DiskOp, type FindArgs, type FoundHere, type ObjectOpArgs, type PlaneMessage, type StreamRequest, decodeFrame, decodeHead, encodeFrame } from '../../schema/agent/protocol.ts'
import { faultOf } from '../../schema/agent/wire.ts'
import { Fault } from '../../schema/values/fault.ts'
import type { Timers } from '../kernel/env.ts'
import { cutFrame } from './frames.ts'
import { type ConsoleLine, type Stream, type Waiter, newStream } from './stream.ts'

/** What the object holds of the socket: workerd's hibernatable WebSocket, or the simulator's. */
export interface LinkSocket {
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
  /** Small state kept with the socket over hibernation. */
  serializeAttachment?(value: unknown): void
  deserializeAttachment?(): unknown
}

/** How long a stream may stand still before it is given up. */
export const STREAM_STALL_MS = 60_000

/** A body that stands still for this long is gone on with from another replica, where there is one. */
export const SLOW_READ_MS = 5_000

/** Gives the rest of a body after so many bytes; null where nobody has it. */
export type Resume = (sent: number) => Promise<ReadableStream<Uint8Array> | null>

/** When a command that was not answered is sent again; ever more seldom. */
export const COMMAND_AGAIN_MS = 10_000
export const COMMAND_AGAIN_MAX_MS = 5 * 60_000

const down = (why: string) => new Fault('unavailable', `The host cannot be reached: ${why}.`)

export class Link {
  #socket: LinkSocket | null = null
  #welcomed = false
  #timers: Timers
  #now: () => number
  #commands = new Map<string, Waiter>()
  #streams = new Map<number, Stream>()
  #nextStream = 1

  constructor(timers: Timers, now: () => number) {
    this.#timers = timers
    this.#now = now
  }

  /** An agent hears nothing before its welcome: until then the host counts as not connected. */
  get connected(): boolean {
    return this.attached && this.#welcomed
  }

  get attached(): boolean {
    return this.#socket !== null
  }

  attach(socket: LinkSocket, welcomed: boolean): void {
    this.#socket = socket
    this.#welcomed = welcomed
  }

  isCurrent(socket: LinkSocket): boolean {
    return this.#socket === socket
  }

  /** The socket is gone: everything in flight fails as unavailable; callers retry with the same ids. */
  detach(why: string): void {
    this.#socket = null
    for (const waiter of this.#commands.values()) waiter.reject(down(why))
    this.#commands.clear()
    for (const [id, stream] of this.#streams) this.#fail(id, stream, down(why))
  }

  send(message: PlaneMessage): boolean {
    if (this.#socket === null || !(this.#welcomed || message.type === 'welcome')) return false
    try {
      this.#socket.send(JSON.stringify(message))
      this.#welcomed = true
      return true
    } catch {
      return false
    }
  }

  command<C extends CommandName>(command: Command<C>): Promise<CommandResults[C]> {
    const waiting = this.#commands.get(command.id)
    if (waiting !== undefined) return waiting.promise as Promise<CommandResults[C]>
    let resolve: (value: unknown) => void = () => {}
    let reject: (error: unknown) => void = () => {}
    const promise = new Promise((yes, no) => {
      resolve = yes
      reject = no
    })
    const cancelTimer = this.#timers.after(Math.max(1, command.deadline_ms - this.#now()), () => {
      this.#commands.delete(command.id)
      reject(new Fault('timeout', `The host did not answer ${command.name} in time.`))
    })
    this.#commands.set(command.id, { promise, resolve, reject, cancel: cancelTimer })
    const cancelAgain = this.#askAgain(command, COMMAND_AGAIN_MS)
    void promise.catch(() => {}).finally(() => {
      cancelTimer()
      cancelAgain()
    })
    if (!this.send({ type: 'command', ...command })) {
      this.#commands.delete(command.id)
      reject(down('it is not connected'))
    }
    return promise as Promise<CommandResults[C]>
  }

  /** An agent answers an id as often as it is asked, and runs it once: so a lost word costs some seconds, and not the command. */
  #askAgain(command: Command, delay_ms: number): () => void {
    let cancel = this.#timers.after(delay_ms, () => {
      if (!this.#commands.has(command.id)) return
      this.send({ type: 'command', ...command })
      cancel = this.#askAgain(command, Math.min(delay_ms * 2, COMMAND_AGAIN_MAX_MS))
    })
    return () => cancel()
  }

  /** Messages that belong to commands and streams; false where it is someone else's. */
  receive(message: AgentMessage): boolean {
    switch (message.type) {
      case 'result': {
        const waiter = this.#commands.get(message.id)
        this.#commands.delete(message.id)
        if (message.ok) waiter?.resolve(message.value)
        else waiter?.reject(faultOf(message.error))
        return true
      }
      case 'head': {
        const stream = this.#streams.get(message.stream)
        if (stream !== undefined) this.#watch(message.stream, stream)
        if (stream !== undefined) stream.headed = true
        if (message.ok) stream?.resolveHead(message.value)
        else if (stream !== undefined) this.#fail(message.stream, stream, faultOf(message.error))
        return true
      }
      case 'credit': {
        const stream = this.#streams.get(message.stream)
        if (stream !== undefined) {
          this.#watch(message.stream, stream)
          stream.credits += message.frames
          stream.wake?.()
        }
        return true
      }
      case 'reset': {
        const stream = this.#streams.get(message.stream)
        if (stream !== undefined) this.#fail(message.stream, stream, new Fault('unavailable', `The host gave up the transfer: ${message.error}`))
        return true
      }
      default:
        return false
    }
  }

  receiveFrame(bytes: Uint8Array): void {
    const { stream: id, last, isHead, sequence, payload } = decodeFrame(bytes)
    const stream = this.#streams.get(id)
    if (stream === undefined || sequence < stream.expected) return
    if (sequence > stream.expected) {
      this.send({ type: 'reset', stream: id, error: 'a frame was lost on the way' })
      return this.#fail(id, stream, new Fault('unavailable', 'A part of the bytes was lost on the way from the host.'))
    }
    stream.expected++
    this.#watch(id, stream)
    if (last) stream.ended = true
    if (isHead) {
      const { head, body } = decodeHead(payload)
      stream.headed = true
      stream.queue.push(body)
      stream.resolveHead(head)
    } else if (payload.byteLength > 0) stream.queue.push(payload.slice())
    stream.pull?.()
  }

  /** Sends a body; resolves with the head that the agent answers when all is on disk. */
  async put<O extends DiskOp>(op: O, args: ObjectOpArgs[O], body: ReadableStream<Uint8Array>): Promise<unknown> {
    const { id, stream, head } = this.#open({ op, args } as StreamRequest)
    const reader = body.getReader()
    try {
      const pumped = this.#pump(id, stream, reader).then(() => true)
      pumped.catch(() => {})
      const isOut = await Promise.race([pumped, head.then(() => false)])
      if (!isOut) {
        stream.answered = true
        stream.wake?.()
        await reader.cancel(new Error('the host wants no more of it')).catch(() => {})
      }
      return await head
    } catch (error) {
      await reader.cancel(error).catch(() => {})
      this.send({ type: 'reset', stream: id, error: String((error as Error)?.message ?? error) })
      throw error
    } finally {
      this.#end(id, stream)
      reader.releaseLock()
    }
  }

  /** Asks for a head without a body. */
  async ask<O extends DiskOp>(op: O, args: ObjectOpArgs[O]): Promise<unknown> {
    const { id, stream, head } = this.#open({ op, args } as StreamRequest)
    try {
      return await head
    } finally {
      this.#end(id, stream)
    }
  }

  /** Asks for a head and a body; each frame read grants the next. */
  async get<O extends DiskOp>(op: O, args: ObjectOpArgs[O], resume?: Resume): Promise<{ head: unknown; body: ReadableStream<Uint8Array> }> {
    const { id, stream, head } = this.#open({ op, args } as StreamRequest)
    return { head: await head, body: this.#body(id, stream, resume) }
  }

  /** The same for an object on several devices at once; a short body is there with the head, whole. */
  async find(args: FindArgs, resume?: Resume): Promise<{ found: FoundHere[]; body: Uint8Array | ReadableStream<Uint8Array> | null }> {
    const { id, stream, head } = this.#open({ op: 'object.find', args })
    const { found } = (await head) as { found: FoundHere[] }
    const [first] = found
    const isComing = args.body && first !== undefined && 'head' in first
    if (isComing && !(stream.ended && stream.queue.length === 1)) return { found, body: this.#body(id, stream, resume) }
    this.#end(id, stream)
    return { found, body: isComing ? (stream.queue[0] ?? null) : null }
  }

  /** Opens a console: bytes both ways until either end has enough. */
  async talk(args: ConsoleArgs): Promise<ConsoleLine> {
    const { id, stream, head } = this.#open({ op: 'console', args })
    await head
    stream.quiet = true
    stream.calm()
    return {
      output: this.#body(id, stream),
      write: (bytes) => this.#sendFrame(id, stream, bytes, false),
      end: () => {
        if (!this.#streams.has(id)) return
        this.#fail(id, stream, new Fault('client_closed', 'the viewer left'))
        this.send({ type: 'reset', stream: id, error: 'the viewer left' })
      },
    }
  }

  #body(id: number, stream: Stream, resume?: Resume): ReadableStream<Uint8Array> {
    let sent = 0
    let other: ReadableStreamDefaultReader<Uint8Array> | null = null
    const link = this
    return new ReadableStream({
      type: 'bytes',
      async pull(controller) {
        if (other === null) await link.#frame(id, stream, resume !== undefined)
        const frame = stream.queue.shift()
        if (frame !== undefined) {
          sent += frame.byteLength
          controller.enqueue(frame)
          return void link.send({ type: 'credit', stream: id, frames: 1 })
        }
        if (other === null && stream.error !== null) other = (await resume?.(sent).catch(() => null))?.getReader() ?? null
        if (other === null && stream.error !== null) return controller.error(stream.error)
        const rest = await other?.read()
        if (rest?.value !== undefined) return controller.enqueue(rest.value)
        link.#end(id, stream)
        controller.close()
        // A byte stream with a pending BYOB read closes only after an empty answer.
        ;(controller as { byobRequest?: { respond(count: number): void } | null }).byobRequest?.respond(0)
      },
      async cancel() {
        await other?.cancel()
        link.#end(id, stream)
        link.send({ type: 'reset', stream: id, error: 'the reader went away' })
      },
    } as UnderlyingByteSource) as ReadableStream<Uint8Array>
  }

  /** Waits for the next frame, the end or an error. A host that is silent for long while another could go on has failed. */
  async #frame(id: number, stream: Stream, isImpatient: boolean): Promise<void> {
    const giveUp = () => {
      if (stream.queue.length > 0 || stream.ended || stream.error !== null) return
      this.send({ type: 'reset', stream: id, error: 'too slow: another replica goes on' })
      this.#fail(id, stream, new Fault('unavailable', 'The host fell silent in the middle of a body.'))
    }
    const cancel = isImpatient ? this.#timers.after(SLOW_READ_MS, giveUp) : () => {}
    while (stream.queue.length === 0 && !stream.ended && stream.error === null) await new Promise<void>((wake) => (stream.pull = wake))
    cancel()
  }

  #open(request: StreamRequest): { id: number; stream: Stream; head: Promise<unknown> } {
    const id = this.#nextStream++
    let resolveHead: (value: unknown) => void = () => {}
    let rejectHead: (error: unknown) => void = () => {}
    const head = new Promise((yes, no) => {
      resolveHead = yes
      rejectHead = no
    })
    head.catch(() => {})
    const stream = newStream(resolveHead, rejectHead)
    this.#streams.set(id, stream)
    this.#watch(id, stream)
    if (!this.send({ type: 'open', stream: id, ...request })) this.#fail(id, stream, down('it is not connected'))
    return { id, stream, head }
  }

  /** Chunks of any size in, frames of FRAME_BYTES_MAX out, never more than the credits allow. */
  async #pump(id: number, stream: Stream, reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    let parts: Uint8Array[] = []
    let held = 0
    for (;;) {
      stream.reading = true
      const { done, value } = await reader.read()
      stream.reading = false
      this.#watch(id, stream)
      if (value !== undefined) {
        parts.push(value)
        held += value.byteLength
      }
      // The last one says so itself: a short body is one message.
      while (!stream.answered && held > FRAME_BYTES_MAX) {
        const { frame, rest } = cutFrame(parts, FRAME_BYTES_MAX)
        parts = rest
        held -= frame.byteLength
        await this.#sendFrame(id, stream, frame, false)
      }
      if (done || stream.answered) break
    }
    await this.#sendFrame(id, stream, cutFrame(parts, held).frame, true)
  }

  async #sendFrame(id: number, stream: Stream, payload: Uint8Array, last: boolean): Promise<void> {
    while (stream.credits <= 0 && stream.error === null && !stream.answered) {
      await new Promise<void>((wake) => (stream.wake = wake))
    }
    if (stream.error !== null) throw stream.error
    if (stream.answered) return
    stream.credits--
    this.#socket?.send(encodeFrame(id, last ? FRAME_LAST : 0, payload, stream.next++))
  }

  /** A host that says nothing about a stream for this long has given it up, whatever became of its words. One timer for a stream: a body has thousands of pieces. */
  #watch(id: number, stream: Stream): void {
    stream.heard_ms = this.#now()
    if (stream.isWatched || stream.quiet || !this.#streams.has(id)) return
    this.#watchFor(id, stream, STREAM_STALL_MS)
  }

  #watchFor(id: number, stream: Stream, delay_ms: number): void {
    stream.isWatched = true
    stream.calm = this.#timers.after(delay_ms, () => {
      const left_ms = stream.heard_ms + STREAM_STALL_MS - this.#now()
      if (left_ms > 0) return this.#watchFor(id, stream, left_ms)
      if (stream.ended && stream.headed) return this.#end(id, stream)
      // Unread frames wait for the reader, and a sender for its client: not for the host.
      if ((stream.queue.length > 0 && stream.headed) || stream.reading) return this.#watchFor(id, stream, STREAM_STALL_MS)
      this.#fail(id, stream, new Fault('unavailable', 'The host stopped answering in the middle of a transfer.'))
    })
  }

  #end(id: number, stream: Stream): void {
    stream.calm()
    this.#streams.delete(id)
  }

  #fail(id: number, stream: Stream, error: Fault): void {
    stream.error = error
    this.#end(id, stream)
    stream.rejectHead(error)
    stream.wake?.()
    stream.pull?.()
  }
}
