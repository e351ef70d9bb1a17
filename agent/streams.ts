/**
 * Byte streams on the host link, the agent's side: object bodies and consoles in binary frames, with credits. Either side begins with STREAM_CREDITS frames it may
 * send; the receiver grants one more for each it has consumed. A slow disk or a slow client thus holds up its own stream only.
 */
import { type AgentMessage, type ConsoleArgs, decodeFrame, encodeFrame, encodeHeadFrame, type FindArgs, FRAME_BYTES_MAX, FRAME_LAST, type ObjectRequest, type PlaneMessage, STREAM_CREDITS, type StreamRequest } from '../schema/agent/protocol.ts'
import { wireError } from '../schema/agent/wire.ts'
import { Fault, isFault } from '../schema/values/fault.ts'
import type { ConsoleChannel } from './drivers/hypervisor/driver.ts'
import type { ObjectDriver } from './drivers/object/driver.ts'
import { findHere } from './find.ts'
import { type Log, messageOf } from './log.ts'
import { answerQuery } from './object-services/answer.ts'
import { outlived } from './young.ts'

/** A sender that overruns its credits by this much is not one of ours. */
const QUEUE_FRAMES_MAX = STREAM_CREDITS * 3
export const STREAMS_MAX = 1024
/** A frame is put together from what the socket gave. */
const FRAME_COPIES = 2

export interface StreamOutput {
  send(message: AgentMessage): void
  sendFrame(frame: Uint8Array): void
}

interface Stream {
  id: number
  /** Who waits for a frame, a credit, or the end: a console has one for each direction. */
  waiting: (() => void)[]
  frames: Uint8Array[]
  ended: boolean
  failure: string | null
  credits: number
  /** Of the next frame to come, and of the next to go. */
  expected: number
  next: number
}

/** Opens a viewer's end on a machine of this host. */
export type OpenConsole = (args: ConsoleArgs) => Promise<ConsoleChannel>

function wake(stream: Stream): void {
  for (const go of stream.waiting.splice(0)) go()
}

export class Streams {
  private streams = new Map<number, Stream>()
  private output: StreamOutput
  private driver: ObjectDriver | undefined
  private log: Log
  private openConsole: OpenConsole | undefined

  constructor(output: StreamOutput, driver: ObjectDriver | undefined, log: Log, openConsole?: OpenConsole) {
    this.output = output
    this.driver = driver
    this.log = log
    this.openConsole = openConsole
  }

  get count(): number {
    return this.streams.size
  }

  open(message: Extract<PlaneMessage, { type: 'open' }>): void {
    const stream: Stream = { id: message.stream, waiting: [], frames: [], ended: false, failure: null, credits: STREAM_CREDITS, expected: 0, next: 0 }
    if (this.streams.has(stream.id)) return this.reset(stream.id, 'a stream of this number is open')
    if (this.streams.size >= STREAMS_MAX) return this.output.send({ type: 'head', stream: stream.id, ok: false, error: { kind: 'unavailable', message: `${STREAMS_MAX} streams are open` } })
    this.streams.set(stream.id, stream)
    void this.serve(stream, message).finally(() => {
      if (this.streams.get(stream.id) === stream) this.streams.delete(stream.id)
    })
  }

  frame(data: Uint8Array): void {
    const { stream: id, last, sequence, payload } = decodeFrame(data)
    const stream = this.streams.get(id)
    // Frames in flight for a stream that has failed meanwhile.
    if (!stream || stream.ended || sequence < stream.expected) return
    if (sequence > stream.expected) return this.fail(stream, 'a frame was lost on the way')
    stream.expected++
    if (payload.byteLength > FRAME_BYTES_MAX || stream.frames.length >= QUEUE_FRAMES_MAX) return this.fail(stream, 'more was sent than was granted')
    if (payload.byteLength > 0) stream.frames.push(payload)
    else if (!last) this.output.send({ type: 'credit', stream: id, frames: 1 })
    stream.ended = last
    wake(stream)
  }

  credit(message: Extract<PlaneMessage, { type: 'credit' }>): void {
    const stream = this.streams.get(message.stream)
    if (!stream) return
    stream.credits = Math.min(stream.credits + message.frames, 1 << 16)
    wake(stream)
  }

  reset(id: number, error: string): void {
    const stream = this.streams.get(id)
    if (stream) this.abandon(stream, error)
  }

  /** The link is gone: nothing of this can be finished. */
  closeAll(error: string): void {
    for (const stream of [...this.streams.values()]) this.abandon(stream, error)
  }

  private fail(stream: Stream, error: string): void {
    this.output.send({ type: 'reset', stream: stream.id, error })
    this.abandon(stream, error)
  }

  private abandon(stream: Stream, error: string): void {
    stream.failure = error
    stream.frames = []
    this.streams.delete(stream.id)
    wake(stream)
  }

  private async serve(stream: Stream, request: StreamRequest): Promise<void> {
    let headed = false
    const head = (value: unknown) => {
      headed = true
      if (stream.failure === null) this.output.send({ type: 'head', stream: stream.id, ok: true, value })
    }
    try {
      if (request.op === 'console') await this.talk(stream, request.args, head)
      else await this.serveObject(stream, request, head)
    } catch (error) {
      if (stream.failure !== null) return
      if (headed) this.output.send({ type: 'reset', stream: stream.id, error: messageOf(error) })
      else this.output.send({ type: 'head', stream: stream.id, ok: false, error: wireError(error) })
      // Asking for what is not there is how the ring looks for replicas.
      if (!isFault(error, 'not_found')) this.log('stream_failed', { op: request.op, ...subjectOf(request), error: messageOf(error) })
    }
  }

  private async serveObject(stream: Stream, request: ObjectRequest, head: (value: unknown) => void): Promise<void> {
    const { driver } = this
    if (!driver) throw new Fault('not_implemented', 'this host has no object driver')
    if (request.op === 'object.get' || request.op === 'object.read') {
      const { answer, body } = await read(driver, request)
      head(answer)
      await this.pour(stream, body)
    } else if (request.op === 'object.find') await this.find(stream, driver, request.args, head)
    else head(await perform(driver, request, () => this.incoming(stream)))
  }

  private async find(stream: Stream, driver: ObjectDriver, args: FindArgs, head: (value: unknown) => void): Promise<void> {
    const { found, body } = await findHere(driver, args)
    found.forEach((one, n) => {
      if ('error' in one && one.error.kind !== 'not_found') this.log('stream_failed', { op: 'object.find', device: [args.at.device, ...args.also][n], hash: args.at.hash, error: one.error.message })
    })
    if (body instanceof Uint8Array) {
      if (stream.failure === null) this.output.sendFrame(encodeHeadFrame(stream.id, { found }, body))
      return
    }
    head({ found })
    if (body !== null) await this.pour(stream, body)
  }

  /** A console: bytes both ways, each as it comes, until the machine or the viewer is gone. */
  private async talk(stream: Stream, args: ConsoleArgs, head: (value: unknown) => void): Promise<void> {
    if (!this.openConsole) throw new Fault('not_implemented', 'this host runs no servers')
    const channel = await this.openConsole(args)
    if (stream.failure !== null) return channel.close()
    head({})
    const listening = async () => {
      for await (const bytes of this.incoming(stream)) await channel.write(bytes)
    }
    // The viewer left, or the line to it broke: the machine's end is closed, and with it the output ends.
    const listened = listening().catch(() => {}).finally(() => channel.close())
    try {
      for await (const chunk of channel.output) {
        for (let at = 0; at < chunk.byteLength; at += FRAME_BYTES_MAX) if (!(await this.emit(stream, 0, chunk.subarray(at, at + FRAME_BYTES_MAX)))) return
      }
      await this.emit(stream, FRAME_LAST, new Uint8Array(0))
    } finally {
      channel.close()
      stream.ended = true
      wake(stream)
      await listened
    }
  }

  private changed(stream: Stream): Promise<void> {
    return new Promise((resolve) => {
      stream.waiting.push(resolve)
    })
  }

  private async *incoming(stream: Stream): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (stream.failure !== null) throw new Fault('client_closed', stream.failure)
      const frame = stream.frames.shift()
      if (frame) {
        yield frame
        outlived(FRAME_COPIES * frame.byteLength)
        if (!stream.ended) this.output.send({ type: 'credit', stream: stream.id, frames: 1 })
      } else if (stream.ended) return
      else await this.changed(stream)
    }
  }

  /** Sends the body; the last frame says so, which is why each piece waits for the next one. Where it breaks off all that was good of it is sent: others go on from there, and ask what is wrong there. */
  private async pour(stream: Stream, body: AsyncIterable<Uint8Array>): Promise<void> {
    let held: Uint8Array | null = null
    try {
      for await (const chunk of body) {
        for (let at = 0; at < chunk.byteLength; at += FRAME_BYTES_MAX) {
          if (held && !(await this.emit(stream, 0, held))) return
          held = chunk.subarray(at, at + FRAME_BYTES_MAX)
        }
      }
    } catch (error) {
      if (held) await this.emit(stream, 0, held)
      throw error
    }
    await this.emit(stream, FRAME_LAST, held ?? new Uint8Array(0))
  }

  /** False where the stream was given up. */
  private async emit(stream: Stream, flags: number, payload: Uint8Array): Promise<boolean> {
    while (stream.credits <= 0 && stream.failure === null) await this.changed(stream)
    if (stream.failure !== null) return false
    stream.credits--
    this.output.sendFrame(encodeFrame(stream.id, flags, payload, stream.next++))
    return true
  }
}

function subjectOf({ op, args }: StreamRequest): Record<string, unknown> {
  if (op === 'console') return { server_id: args.server_id, kind: args.kind }
  const at: { device: string; hash?: string } = op === 'object.find' ? args.at : args
  return { device: at.device, hash: at.hash }
}

/** Operations that answer with bytes. */
async function read(driver: ObjectDriver, request: Extract<ObjectRequest, { op: 'object.get' | 'object.read' }>): Promise<{ answer: unknown; body: AsyncIterable<Uint8Array> }> {
  if (request.op === 'object.get') {
    const { head, body } = await driver.get(request.args)
    return { answer: head, body }
  }
  const { stored, body } = await driver.replicas.read(request.args)
  return { answer: stored, body }
}

async function perform(driver: ObjectDriver, request: Exclude<ObjectRequest, { op: 'object.get' | 'object.read' | 'object.find' }>, incoming: () => AsyncIterable<Uint8Array>): Promise<unknown> {
  switch (request.op) {
    case 'object.put': return await driver.put(request.args, incoming())
    case 'object.head': return await driver.head(request.args)
    case 'object.post': return await driver.post(request.args)
    case 'object.delete': return await driver.delete(request.args)
    case 'object.fragments': return await driver.fragments(request.args)
    case 'object.commit': return await driver.commit(request.args)
    case 'object.doubt': return await driver.doubt(request.args)
    case 'object.query': return await answerQuery(driver.replicas, request.args)
    case 'object.receive': return { taken: await driver.replicas.receive(request.args, incoming()) }
    case 'object.defer': {
      const { update, ...at } = request.args
      await driver.replicas.defer(at, update)
      return {}
    }
    default: return request satisfies never
  }
}
