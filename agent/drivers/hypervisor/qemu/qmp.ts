/** QEMU's control channel: JSON lines on a Unix socket. Commands are answered in order; events come in between. */
import { closeSync, openSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { Fault } from '../../../../schema/values/fault.ts'
import type { Timers } from '../../../timers.ts'

export interface QmpEvent {
  event: string
  data: Record<string, unknown>
}

export class QmpError extends Error {
  /** 'GenericError', 'DeviceNotFound'... */
  kind: string
  constructor(command: string, kind: string, description: string) {
    super(`${command}: ${description}`)
    this.name = 'QmpError'
    this.kind = kind
  }
}

export const COMMAND_TIMEOUT_MS = 30_000

/** Connects to a socket in a folder, however long the folder's path: it is reached by a descriptor, not by name. */
export function connectIn(folder: string, name: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const fd = openSync(folder, 'r')
    const socket = connect(`/proc/self/fd/${fd}/${name}`)
    const settle = (work: () => void) => {
      closeSync(fd)
      socket.removeAllListeners()
      work()
    }
    socket.once('connect', () => settle(() => resolve(socket)))
    socket.once('error', (error) => settle(() => {
      socket.on('error', () => {})
      reject(error)
    }))
  })
}

interface Waiter {
  command: string
  resolve(value: unknown): void
  reject(error: Error): void
  cancel(): void
}

export class Qmp {
  private socket: Socket
  private timers: Timers
  private waiters: Waiter[] = []
  private rest = ''
  private listeners = new Set<(event: QmpEvent) => void>()
  private greeted: (() => void) | null = null
  onClose: () => void = () => {}
  closed = false

  private constructor(socket: Socket, timers: Timers) {
    this.socket = socket
    this.timers = timers
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => this.received(text))
    socket.on('error', () => {})
    socket.on('close', () => this.ended())
  }

  static async open(folder: string, timers: Timers): Promise<Qmp> {
    const qmp = new Qmp(await connectIn(folder, 'qmp.sock'), timers)
    await new Promise<void>((resolve, reject) => {
      const cancel = timers.after(COMMAND_TIMEOUT_MS, () => reject(new Fault('timeout', 'QEMU does not greet')))
      qmp.greeted = () => {
        cancel()
        resolve()
      }
      qmp.socket.once('close', () => {
        cancel()
        reject(new Fault('unavailable', 'QEMU closed its control channel'))
      })
    })
    await qmp.execute('qmp_capabilities')
    return qmp
  }

  execute<T = Record<string, unknown>>(command: string, args?: Record<string, unknown>, timeout_ms = COMMAND_TIMEOUT_MS): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.closed) return reject(new Fault('unavailable', `${command}: QEMU is gone`))
      const cancel = this.timers.after(timeout_ms, () => {
        // Answers come in order: after a lost one nothing that follows can be trusted.
        this.socket.destroy()
        reject(new Fault('timeout', `${command}: no answer from QEMU in ${timeout_ms} ms`))
      })
      this.waiters.push({ command, resolve: resolve as (value: unknown) => void, reject, cancel })
      this.socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`)
    })
  }

  /** Calls back for each event until the returned function is called. */
  listen(listener: (event: QmpEvent) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** The first event that `test` accepts, or null after the time. Ask before doing what causes it. */
  wait(test: (event: QmpEvent) => boolean, timeout_ms: number): Promise<QmpEvent | null> {
    return new Promise((resolve) => {
      const done = (event: QmpEvent | null) => {
        cancel()
        off()
        this.socket.off('close', gone)
        resolve(event)
      }
      const gone = () => done(null)
      const cancel = this.timers.after(timeout_ms, () => done(null))
      const off = this.listen((event) => {
        if (test(event)) done(event)
      })
      this.socket.once('close', gone)
    })
  }

  close(): void {
    this.socket.destroy()
  }

  private received(text: string): void {
    const lines = (this.rest + text).split('\n')
    this.rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.trim() === '') continue
      const message = JSON.parse(line) as { QMP?: unknown; event?: string; data?: Record<string, unknown>; return?: unknown; error?: { class: string; desc: string } }
      if (message.QMP !== undefined) this.greeted?.()
      else if (message.event !== undefined) for (const listener of [...this.listeners]) listener({ event: message.event, data: message.data ?? {} })
      else {
        const waiter = this.waiters.shift()
        waiter?.cancel()
        if (message.error) waiter?.reject(new QmpError(waiter.command, message.error.class, message.error.desc))
        else waiter?.resolve(message.return)
      }
    }
  }

  private ended(): void {
    this.closed = true
    for (const waiter of this.waiters.splice(0)) {
      waiter.cancel()
      waiter.reject(new Fault('unavailable', `${waiter.command}: QEMU is gone`))
    }
    this.onClose()
  }
}
