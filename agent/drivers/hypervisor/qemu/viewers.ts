/**
 * Viewers of running machines: connections to QEMU's own sockets. Its VNC server takes any number; its serial line serves one at a time and leaves a
 * second waiting in silence, so the newest viewer takes the line from the one before. A VNC viewer that is slow is sent fewer pictures by QEMU itself; a
 * serial line that nobody reads would stop the guest in the middle of its own console output, so that is always read, and what a viewer is too slow for is left out.
 */
import type { Socket } from 'node:net'
import type { ConsoleKind } from '../../../../schema/agent/protocol.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import type { ConsoleChannel } from '../driver.ts'
import { connectIn } from './qmp.ts'

/** Output of a serial line that its viewer has not taken yet. */
export const SERIAL_PENDING_BYTES_MAX = 1024 * 1024

const SOCKETS: Record<ConsoleKind, string> = { vnc: 'vnc.sock', serial: 'serial.sock' }

export class Viewers {
  private serial = new Map<string, Socket>()

  async open(folder: string, id: string, kind: ConsoleKind): Promise<ConsoleChannel> {
    if (kind === 'serial') this.serial.get(id)?.destroy()
    const socket = await connectIn(folder, SOCKETS[kind]).catch(() => {
      throw new Fault('conflict', `the console of server ${id} does not answer`)
    })
    if (kind === 'serial') {
      // Two that came at the same moment: the later one stays.
      this.serial.get(id)?.destroy()
      this.serial.set(id, socket)
      socket.once('close', () => {
        if (this.serial.get(id) === socket) this.serial.delete(id)
      })
    }
    return channelOf(socket, kind === 'serial' ? lossyOutput(socket) : outputOf(socket))
  }
}

function channelOf(socket: Socket, output: AsyncIterable<Uint8Array>): ConsoleChannel {
  socket.on('error', () => {})
  return {
    output,
    write: (bytes) =>
      new Promise((resolve) => {
        if (socket.destroyed || socket.write(bytes)) return resolve()
        const go = () => {
          socket.off('drain', go).off('close', go)
          resolve()
        }
        socket.on('drain', go).on('close', go)
      }),
    close: () => socket.destroy(),
  }
}

/** A connection that breaks is a console that ended. */
async function* outputOf(socket: Socket): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of socket) yield chunk as Uint8Array
  } catch {
    // QEMU is gone, or the viewer was sent away.
  }
}

/** Reads at once, whatever the viewer does; where it falls behind, the oldest goes, and is said to have gone. */
export function lossyOutput(socket: Socket): AsyncIterable<Uint8Array> {
  let pending: Uint8Array[] = []
  let pending_bytes = 0
  let skipped_bytes = 0
  let over = false
  let wake = () => {}
  socket.on('data', (chunk: Buffer) => {
    pending.push(chunk)
    pending_bytes += chunk.byteLength
    while (pending_bytes > SERIAL_PENDING_BYTES_MAX) {
      const size = pending.shift()?.byteLength ?? 0
      pending_bytes -= size
      skipped_bytes += size
    }
    wake()
  })
  for (const event of ['end', 'close'] as const) {
    socket.on(event, () => {
      over = true
      wake()
    })
  }
  return (async function* () {
    for (;;) {
      if (skipped_bytes > 0) {
        const note = `\r\n[${skipped_bytes} bytes left out]\r\n`
        skipped_bytes = 0
        yield new TextEncoder().encode(note)
      }
      const chunks = pending
      pending = []
      pending_bytes = 0
      yield* chunks
      if (pending.length > 0) continue
      if (over) return
      await new Promise<void>((resolve) => { wake = resolve })
    }
  })()
}
