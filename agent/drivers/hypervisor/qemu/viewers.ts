/**
 * Viewers of running machines: connections to QEMU's own sockets. Its VNC server takes any number; its serial line serves one at a time and leaves a
 * second waiting in silence, so the newest viewer takes the line from the one before.
 */
import type { Socket } from 'node:net'
import type { ConsoleKind } from '../../../../schema/agent/protocol.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import type { ConsoleChannel } from '../driver.ts'
import { connectIn } from './qmp.ts'

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
    return channelOf(socket)
  }
}

function channelOf(socket: Socket): ConsoleChannel {
  socket.on('error', () => {})
  return {
    output: outputOf(socket),
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
