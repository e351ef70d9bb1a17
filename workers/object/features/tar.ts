/** Entries of a tar archive (ustar, GNU long names, pax headers) out of a stream, one at a time, without holding more than one entry's header. */
const BLOCK = 512

export interface TarEntry {
  name: string
  type: 'file' | 'other'
  size: number
  mtime: number
  /** pax records, for metadata such as user attributes. */
  pax: Record<string, string>
}

/** Reads exact numbers of bytes from a stream. */
class Reader {
  #reader: ReadableStreamDefaultReader<Uint8Array>
  #rest: Uint8Array = new Uint8Array()
  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader()
  }

  /** Up to `max` bytes; null at the end. */
  async some(max: number): Promise<Uint8Array | null> {
    while (this.#rest.byteLength === 0) {
      const { done, value } = await this.#reader.read()
      if (done) return null
      this.#rest = value
    }
    const part = this.#rest.subarray(0, max)
    this.#rest = this.#rest.subarray(part.byteLength)
    return part
  }

  async exact(count: number): Promise<Uint8Array | null> {
    const all = new Uint8Array(count)
    let at = 0
    while (at < count) {
      const part = await this.some(count - at)
      if (part === null) {
        if (at === 0) return null
        throw new Error('the archive ends in the middle of an entry')
      }
      all.set(part, at)
      at += part.byteLength
    }
    return all
  }
}

const text = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}

function number(bytes: Uint8Array): number {
  if (((bytes[0] ?? 0) & 0x80) !== 0) return bytes.subarray(1).reduce((sum, byte) => sum * 256 + byte, (bytes[0] ?? 0) & 0x7f)
  const digits = text(bytes).trim()
  if (digits !== '' && !/^[0-7]+$/.test(digits)) throw new Error('not a tar archive')
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function checkSum(header: Uint8Array): void {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0)
  if (sum !== number(header.subarray(148, 156))) throw new Error('not a tar archive')
}

function paxOf(bytes: Uint8Array): Record<string, string> {
  const records: Record<string, string> = {}
  let at = 0
  while (at < bytes.byteLength) {
    const space = bytes.indexOf(32, at)
    const length = space < 0 ? 0 : Number(new TextDecoder().decode(bytes.subarray(at, space)))
    if (!Number.isInteger(length) || length <= 0) break
    const record = new TextDecoder().decode(bytes.subarray(space + 1, at + length - 1))
    const equals = record.indexOf('=')
    if (equals > 0) records[record.slice(0, equals)] = record.slice(equals + 1)
    at += length
  }
  return records
}

/** Calls `each` for every entry with its content; content that is not read is skipped. */
export async function readTar(body: ReadableStream<Uint8Array>, entry_bytes_max: number, each: (entry: TarEntry, read: () => Promise<Uint8Array>) => Promise<void>): Promise<void> {
  const reader = new Reader(body)
  let [longName, pax]: [string | null, Record<string, string>] = [null, {}]
  for (;;) {
    const header = await reader.exact(BLOCK)
    if (header === null || header.every((byte) => byte === 0)) return
    checkSum(header)
    const flag = String.fromCharCode(header[156] ?? 0)
    const prefix = text(header.subarray(257, 262)) === 'ustar' ? text(header.subarray(345, 500)) : ''
    const short = text(header.subarray(0, 100))
    const size = pax.size === undefined ? number(header.subarray(124, 136)) : Number(pax.size)
    let left = size
    const content = async (): Promise<Uint8Array> => {
      if (size > entry_bytes_max) throw new Error('too large')
      const bytes = size === 0 ? new Uint8Array() : await reader.exact(size)
      left = 0
      if (bytes === null) throw new Error('the archive ends in the middle of an entry')
      return bytes
    }
    if (flag === 'L') longName = text(await content())
    else if (flag === 'x') pax = paxOf(await content())
    else if (flag !== 'g') {
      const name = pax.path ?? longName ?? (prefix === '' ? short : `${prefix}/${short}`)
      await each({ name, type: flag === '0' || flag === '\0' ? 'file' : 'other', size, mtime: number(header.subarray(136, 148)), pax }, content)
      longName = null
      pax = {}
    }
    while (left > 0) {
      const skipped = await reader.some(left)
      if (skipped === null) return
      left -= skipped.byteLength
    }
    const padding = (BLOCK - (size % BLOCK)) % BLOCK
    if (padding > 0) await reader.exact(padding)
  }
}
