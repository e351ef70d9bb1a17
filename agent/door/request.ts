/**
 * A client's request as the handlers take it: the part of `Request` they use, over Node's message. Its URL is as the client wrote it (a name may be '..'), and its body is
 * read from the socket only as fast as it is taken.
 */
import type { IncomingMessage } from 'node:http'
import type { Timers } from '../timers.ts'
import { fanOf } from './fan.ts'

/** Hop by hop, or said by the door itself. */
const DROPPED = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'expect', 'cf-connecting-ip'])

export function headersOf(message: IncomingMessage): Headers {
  const headers = new Headers()
  const { rawHeaders } = message
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    if (!DROPPED.has(name)) headers.append(name, rawHeaders[at + 1] ?? '')
  }
  headers.set('cf-connecting-ip', (message.socket.remoteAddress ?? '').replace(/^::ffff:/, ''))
  return headers
}

export class DoorRequest {
  readonly method: string
  readonly url: string
  readonly headers: Headers
  readonly signal: AbortSignal
  /** As workerd tells it. */
  readonly cf: { clientIp: string }
  #message: IncomingMessage
  #timers: Timers
  #held: Buffer | null = null
  #body: ReadableStream<Uint8Array> | null | undefined

  constructor(message: IncomingMessage, origin: string, signal: AbortSignal, timers: Timers) {
    this.#message = message
    this.#timers = timers
    this.method = message.method ?? 'GET'
    this.url = `${origin}${message.url ?? '/'}`
    this.headers = headersOf(message)
    this.signal = signal
    this.cf = { clientIp: this.headers.get('cf-connecting-ip') ?? '' }
  }

  /** Takes the whole body in: from then on each reader gets it from the beginning. */
  async hold(): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of this.#message) parts.push(part as Buffer)
    if (!this.#message.complete) throw new Error('the client went away')
    this.#held = Buffer.concat(parts)
  }

  /** Null where the client said that there is none. */
  get body(): ReadableStream<Uint8Array> | null {
    const held = this.#held
    if (held !== null) {
      return new ReadableStream<Uint8Array>({
        start(controller) {
          if (held.byteLength > 0) controller.enqueue(held)
          controller.close()
        },
      }) as ReadableStream<Uint8Array>
    }
    if (this.#body === undefined) this.#body = hasBody(this.#message) ? fanOf(this.#message, this.#timers) : null
    return this.#body
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return await new Response(this.body as never).arrayBuffer()
  }

  async text(): Promise<string> {
    return await new Response(this.body as never).text()
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text())
  }
}

export const hasBody = ({ headers }: IncomingMessage): boolean => headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined
