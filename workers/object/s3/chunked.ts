/**
 * Bodies in aws-chunked form (STREAMING-...): each chunk has its length and, where signed, a signature chained to the one before; a trailer may bring a checksum.
 * Decoded as a stream: what is wrong breaks the stream before its end, so nothing of it is ever kept; `failure` then says why.
 */
import { createHash } from 'node:crypto'
import type { ChunkLinks } from '../../../schema/agent/door.ts'
import type { Fault } from '../../../schema/values/fault.ts'
import { type Digest, type DigestName, createDigest } from '../../../schema/values/digests.ts'
import { type Scope, chunkStringToSign, sameSignature, sign, trailerStringToSign } from '../../http/sigv4.ts'
import { s3Fault } from './errors.ts'

const CHUNK_LINE_BYTES_MAX = 1_024
const TRAILER_BYTES_MAX = 8 * 1_024

export interface ChunkSigning {
  key: Uint8Array
  amz_date: string
  scope: Scope
  /** The request's own signature. */
  seed: string
}

/** Where the key is elsewhere (a door): signatures are collected, and checked there some at a time. Throws where one is not right. */
export interface RemoteSigning {
  seed: string
  check(links: ChunkLinks): Promise<void>
}

/** Chunks whose signatures are asked about at once: some 16 MiB of what clients usually send. */
export const LINKS_AT_ONCE = 256

export interface DecoderOptions {
  source: ReadableStream<Uint8Array>
  /** x-amz-decoded-content-length */
  length: number
  /** null: chunks carry no signatures. */
  signing: ChunkSigning | RemoteSigning | null
  /** Whether a trailer follows, and the checksum in it. */
  trailer: boolean
  checksum: DigestName | null
}

export interface Decoder {
  body: ReadableStream<Uint8Array>
  /** Why the stream broke, where the client is to blame. */
  failure: Fault | null
  /** base64; there once the body has been read. */
  checksum: string | null
}

type State = 'line' | 'data' | 'data-end' | 'trailer'

class ChunkReader {
  #options: DecoderOptions
  #state: State = 'line'
  #line = ''
  #left = 0
  #total = 0
  #signature: string
  #claimed = ''
  #hash = createHash('sha256')
  #digest: Digest | null
  #trailer = ''
  #links: ChunkLinks
  checksum: string | null = null

  constructor(options: DecoderOptions) {
    this.#options = options
    this.#signature = options.signing?.seed ?? ''
    this.#links = { previous: this.#signature, chunks: [] }
    this.#digest = options.checksum === null ? null : createDigest(options.checksum)
  }

  /** Signatures that are yet to be checked, once there are `least`. */
  links(least: number): ChunkLinks | null {
    const links = this.#links
    if (links.trailer === undefined && links.chunks.length < least) return null
    this.#links = { previous: this.#signature, chunks: [] }
    return links
  }

  /** The payload in a piece of the body. */
  push(piece: Uint8Array, emit: (data: Uint8Array) => void): void {
    let at = 0
    while (at < piece.length) {
      if (this.#state === 'data') {
        const data = piece.subarray(at, at + this.#left)
        at += data.length
        this.#left -= data.length
        if (this.#options.signing !== null) this.#hash.update(data)
        this.#digest?.update(data)
        emit(data)
        if (this.#left === 0) this.#state = 'data-end'
      } else if (this.#state === 'trailer') {
        this.#trailer += latin(piece.subarray(at))
        at = piece.length
        if (this.#trailer.length > TRAILER_BYTES_MAX) throw s3Fault('MalformedTrailerError')
      } else at = this.#readLine(piece, at)
    }
  }

  #readLine(piece: Uint8Array, from: number): number {
    const end = piece.indexOf(10, from)
    const stop = end < 0 ? piece.length : end + 1
    this.#line += latin(piece.subarray(from, stop))
    if (this.#line.length > CHUNK_LINE_BYTES_MAX) throw s3Fault('IncompleteBody', 'A chunk of the request body has no proper head.')
    if (end < 0) return stop
    const line = this.#line
    this.#line = ''
    if (!line.endsWith('\r\n')) throw s3Fault('IncompleteBody', 'A line of the chunked request body does not end in CR LF.')
    if (this.#state === 'data-end') {
      if (line !== '\r\n') throw s3Fault('IncompleteBody', 'A chunk of the request body is longer than it says.')
      this.#closeChunk()
      this.#state = 'line'
    } else this.#openChunk(line.slice(0, -2))
    return stop
  }

  #openChunk(line: string): void {
    const match = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line)
    if (match === null || (this.#options.signing !== null) !== (match[2] !== undefined)) throw s3Fault('IncompleteBody', 'A chunk of the request body has no proper head.')
    this.#left = Number.parseInt(match[1] ?? '', 16)
    this.#claimed = match[2] ?? ''
    this.#total += this.#left
    if (this.#total > this.#options.length) throw s3Fault('IncompleteBody', 'The request body is longer than x-amz-decoded-content-length says.')
    this.#hash = createHash('sha256')
    this.#state = 'data'
    if (this.#left > 0) return
    this.#closeChunk()
    this.#state = 'trailer'
  }

  #closeChunk(): void {
    const { signing } = this.#options
    if (signing === null) return
    const sha256 = this.#hash.digest('hex')
    if (!('key' in signing)) {
      this.#links.chunks.push([sha256, this.#claimed])
      this.#signature = this.#claimed
    } else this.#check(sign(signing.key, chunkStringToSign(signing.amz_date, signing.scope, this.#signature, sha256)), this.#claimed)
  }

  #check(right: string, given: string): void {
    if (!sameSignature(given, right)) throw s3Fault('SignatureDoesNotMatch')
    this.#signature = right
  }

  /** At the end of the body: everything must have been there, and right. */
  finish(): void {
    if (this.#state !== 'trailer' || this.#total !== this.#options.length) throw s3Fault('IncompleteBody')
    const lines = this.#trailer.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== '')
    const fields = new Map(lines.map((line) => [line.slice(0, Math.max(0, line.indexOf(':'))).toLowerCase().trim(), line.slice(line.indexOf(':') + 1).trim()]))
    const signature = fields.get('x-amz-trailer-signature')
    fields.delete('x-amz-trailer-signature')
    if (fields.size > 0 && !this.#options.trailer) throw s3Fault('MalformedTrailerError')
    const { signing, checksum } = this.#options
    if (signing !== null && this.#options.trailer) {
      const canonical = [...fields].map(([name, value]) => `${name}:${value}\n`).join('')
      if (!('key' in signing)) this.#links.trailer = [canonical, signature ?? '']
      else this.#check(sign(signing.key, trailerStringToSign(signing.amz_date, signing.scope, this.#signature, canonical)), signature ?? '')
    }
    if (checksum === null || this.#digest === null) return
    const given = fields.get(`x-amz-checksum-${checksum}`)
    if (given === undefined) throw s3Fault('MalformedTrailerError')
    this.checksum = this.#digest.finish()
    if (given !== this.checksum) throw s3Fault('BadDigest', `The ${checksum.toUpperCase()} you specified did not match the calculated checksum.`)
  }
}

const latin = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')

/** Bytes asked for at once: each turn through JavaScript costs the same however much comes with it. */
const READ_BYTES = 256 * 1024
const READ_BYTES_LEAST = 64 * 1024

interface Source {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>
  cancel(why?: unknown): Promise<void>
}

/** Large pieces where the platform has such reads (workerd's bodies do), whatever comes otherwise. */
function sourceOf(stream: ReadableStream<Uint8Array>): Source {
  const reads = byobReader(stream)
  if (reads?.readAtLeast !== undefined) return { read: async () => (await reads.readAtLeast?.(READ_BYTES_LEAST, new Uint8Array(READ_BYTES))) ?? { done: true }, cancel: (why) => reads.cancel(why) }
  reads?.releaseLock()
  return stream.getReader() as Source
}

interface LargeReads extends Pick<Source, 'cancel'> {
  readAtLeast?(least: number, view: Uint8Array): ReturnType<Source['read']>
  releaseLock(): void
}

function byobReader(stream: ReadableStream<Uint8Array>): LargeReads | null {
  try {
    return stream.getReader({ mode: 'byob' }) as unknown as LargeReads
  } catch {
    return null
  }
}

/** Asks about signatures elsewhere while the body goes on: one question at a time, and none left open at its end. */
function checker({ signing }: DecoderOptions, chunks: ChunkReader): (atEnd: boolean) => Promise<void> {
  if (signing === null || 'key' in signing) return async () => {}
  let asked: Promise<void> = Promise.resolve()
  return async (atEnd) => {
    const links = chunks.links(atEnd ? 1 : LINKS_AT_ONCE)
    if (links === null) return atEnd ? await asked : undefined
    await asked
    asked = signing.check(links)
    // Told to whoever asks next.
    asked.catch(() => {})
    if (atEnd) await asked
  }
}

export function decodeChunked(options: DecoderOptions): Decoder {
  const reader = sourceOf(options.source)
  const chunks = new ChunkReader(options)
  const check = checker(options, chunks)
  const decoder: Decoder = { body: undefined as never, failure: null, checksum: null }
  decoder.body = new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      try {
        for (let length = 0; length === 0; ) {
          const { done, value } = await reader.read()
          if (value !== undefined && value.byteLength > 0) {
            // A byte stream takes the buffer itself: it gets its own.
            const out = new Uint8Array(value.byteLength)
            chunks.push(value, (data) => {
              out.set(data, length)
              length += data.byteLength
            })
            await check(false)
            if (length > 0) controller.enqueue(out.subarray(0, length) as never)
          }
          if (!done) continue
          chunks.finish()
          await check(true)
          decoder.checksum = chunks.checksum
          controller.close()
          return
        }
      } catch (error) {
        decoder.failure = (error as { name?: string }).name === 'Fault' ? (error as Fault) : s3Fault('IncompleteBody')
        void reader.cancel().catch(() => {})
        throw error
      }
    },
    async cancel(reason) {
      await reader.cancel(reason).catch(() => {})
    },
  }) as ReadableStream<Uint8Array>
  return decoder
}

/** Checks what a decoder elsewhere collected. */
export function checkLinks({ key, amz_date, scope }: Pick<ChunkSigning, 'key' | 'amz_date' | 'scope'>, { previous, chunks, trailer }: ChunkLinks): void {
  let last = previous
  for (const [sha256, signature] of chunks) {
    if (!sameSignature(signature, sign(key, chunkStringToSign(amz_date, scope, last, sha256)))) throw s3Fault('SignatureDoesNotMatch')
    last = signature
  }
  if (trailer !== undefined && !sameSignature(trailer[1], sign(key, trailerStringToSign(amz_date, scope, last, trailer[0])))) throw s3Fault('SignatureDoesNotMatch')
}
