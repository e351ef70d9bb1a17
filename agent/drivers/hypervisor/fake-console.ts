/**
 * The consoles of simulated machines, true to their protocols: the screen is a small RFB 3.8 server with one plain colour, which each key changes; the serial
 * line shows the boot log and says back what is typed. Enough to prove every link of the chain up to a viewer's eyes.
 */
import { Fault } from '../../../schema/values/fault.ts'
import type { ConsoleKind } from '../../../schema/agent/protocol.ts'
import type { ConsoleChannel } from './driver.ts'

export const SCREEN = { width: 640, height: 400 }
const VERSION_LINE = 'RFB 003.008\n'
/** Frames of a screen that a viewer may ask for and not yet have taken. */
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024

/** Bytes that wait for their reader. */
class Pipe {
  private chunks: Uint8Array[] = []
  private size_bytes = 0
  private over = false
  private wake: () => void = () => {}

  push(bytes: Uint8Array): void {
    if (this.over || this.size_bytes + bytes.byteLength > OUTPUT_BYTES_MAX) return
    this.chunks.push(bytes)
    this.size_bytes += bytes.byteLength
    this.wake()
  }

  end(): void {
    this.over = true
    this.wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.chunks.shift()
      if (chunk) {
        this.size_bytes -= chunk.byteLength
        yield chunk
      } else if (this.over) return
      else await new Promise<void>((resolve) => { this.wake = resolve })
    }
  }
}

interface Line {
  kind: ConsoleKind
  pipe: Pipe
}

/** All viewers of one host's machines. */
export class FakeConsoles {
  private lines = new Map<string, Set<Line>>()

  open(id: string, name: string, kind: ConsoleKind, log: string): ConsoleChannel {
    const pipe = new Pipe()
    const line: Line = { kind, pipe }
    const open = this.lines.get(id) ?? new Set()
    if (kind === 'serial') for (const other of open) if (other.kind === 'serial') other.pipe.end()
    this.lines.set(id, open.add(line))
    const listen = kind === 'vnc' ? screen(name, pipe) : serialLine(log, pipe)
    return {
      output: pipe,
      write: async (bytes) => listen(bytes),
      close: () => {
        pipe.end()
        open.delete(line)
      },
    }
  }

  /** The machine went off, or became another. */
  end(id: string): void {
    for (const { pipe } of this.lines.get(id) ?? []) pipe.end()
    this.lines.delete(id)
  }
}

/** What is typed comes back, as from a terminal that waits for a login; a line's end brings a new prompt. */
function serialLine(log: string, pipe: Pipe): (bytes: Uint8Array) => void {
  const say = (text: string) => pipe.push(new TextEncoder().encode(text))
  say(log.replace(/\r?\n/g, '\r\n'))
  return (bytes) => {
    for (const byte of bytes) {
      if (byte === 13 || byte === 10) say('\r\nsimulated login: ')
      else pipe.push(Uint8Array.of(byte))
    }
  }
}

interface PixelFormat {
  bytes: number
  little: boolean
  max: [number, number, number]
  shift: [number, number, number]
}

type Phase = 'version' | 'security' | 'init' | 'running'

const FORMAT: PixelFormat = { bytes: 4, little: true, max: [255, 255, 255], shift: [16, 8, 0] }
const COLOURS: [number, number, number][] = [[0x1b, 0x4f, 0x8f], [0x1f, 0x7a, 0x4d], [0x8f, 0x3d, 0x1b], [0x5b, 0x2a, 0x86]]

/** RFB 3.8 (RFC 6143) without a password: the viewer was let in long before it got here. Raw rectangles, the one encoding that every viewer must know. */
function screen(name: string, pipe: Pipe): (bytes: Uint8Array) => void {
  let input = Buffer.alloc(0)
  let state = 'version' as Phase
  let format = FORMAT
  let colour = 0
  /** The viewer waits for a change that it has not seen. */
  let waiting = false
  pipe.push(Buffer.from(VERSION_LINE))
  const refresh = () => {
    waiting = false
    pipe.push(update(format, COLOURS[colour % COLOURS.length] ?? [0, 0, 0]))
  }
  const steps: Record<Phase, () => number> = {
    version: () => {
      if (input.byteLength < VERSION_LINE.length) return 0
      state = 'security'
      pipe.push(Uint8Array.of(1, 1))
      return VERSION_LINE.length
    },
    security: () => {
      state = 'init'
      pipe.push(new Uint8Array(4))
      return 1
    },
    init: () => {
      state = 'running'
      pipe.push(serverInit(`simulated ${name}`))
      return 1
    },
    running: () => {
      const size = messageSize(input)
      if (size === 0 || input.byteLength < size) return 0
      const type = input[0]
      if (type === 0) format = readFormat(input)
      else if (type === 3 && input[1] === 0) refresh()
      else if (type === 3) waiting = true
      else if (type === 4 && input[1] === 1) {
        colour++
        if (waiting) refresh()
      }
      return size
    },
  }
  return (bytes) => {
    input = Buffer.concat([input, bytes])
    for (let used = 1; used > 0 && input.byteLength > 0;) {
      used = steps[state]()
      input = input.subarray(used)
    }
  }
}

/** Length of the client's message at the head of the input; 0 where that is not known yet. */
function messageSize(input: Buffer): number {
  switch (input[0]) {
    case 0: return 20
    case 2: return input.byteLength < 4 ? 0 : 4 + 4 * input.readUInt16BE(2)
    case 3: return 10
    case 4: return 8
    case 5: return 6
    case 6: return input.byteLength < 8 ? 0 : 8 + Math.abs(input.readInt32BE(4))
    default: throw new Fault('bad_request', `a viewer sent a message of the unknown type ${input[0]}`)
  }
}

function serverInit(name: string): Uint8Array {
  const title = Buffer.from(name)
  const head = Buffer.alloc(24)
  head.writeUInt16BE(SCREEN.width, 0)
  head.writeUInt16BE(SCREEN.height, 2)
  // 32 bits a pixel of which 24 count, little endian, true colour, 8 bits each for red, green and blue.
  Buffer.from([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0]).copy(head, 4)
  head.writeUInt32BE(title.byteLength, 20)
  return Buffer.concat([head, title])
}

function readFormat(input: Buffer): PixelFormat {
  return {
    bytes: Math.max(1, (input[4] ?? 32) >> 3), little: input[6] === 0,
    max: [input.readUInt16BE(8), input.readUInt16BE(10), input.readUInt16BE(12)], shift: [input[14] ?? 0, input[15] ?? 0, input[16] ?? 0],
  }
}

function update(format: PixelFormat, rgb: [number, number, number]): Uint8Array {
  const value = rgb.reduce((sum, part, at) => sum + Math.round((part * (format.max[at] ?? 0)) / 255) * 2 ** (format.shift[at] ?? 0), 0)
  const pixel = Buffer.alloc(format.bytes)
  if (format.little) pixel.writeUIntLE(value % 2 ** (8 * format.bytes), 0, format.bytes)
  else pixel.writeUIntBE(value % 2 ** (8 * format.bytes), 0, format.bytes)
  const head = Buffer.alloc(16)
  head.writeUInt16BE(1, 2)
  head.writeUInt16BE(SCREEN.width, 8)
  head.writeUInt16BE(SCREEN.height, 10)
  return Buffer.concat([head, Buffer.alloc(SCREEN.width * SCREEN.height * format.bytes, pixel)])
}
