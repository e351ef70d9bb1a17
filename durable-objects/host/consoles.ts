/**
 * Viewers of the machines of one host: each a WebSocket at this end and a console's line on the host link at the other. The platform does not say how much of
 * what was sent a client has taken, so a viewer that has been sent UNHEARD_BYTES_MAX without a word from it is sent no more until it says something:
 * a screen's viewer asks for each picture, our pages send an empty message now and then, and a terminal goes on with the next key.
 */
import { FRAME_BYTES_MAX } from '../../schema/agent/protocol.ts'
import type { Caller } from '../../schema/values/caller.ts'
import type { Timers } from '../kernel/env.ts'
import type { ConsoleLine } from './stream.ts'

/** Where the Worker hands over a viewer's upgrade; no path of the outside leads here. */
export const CONSOLE_PATH = '/console'
/** Header of that request: who asked for the console, as JSON, percent-encoded. */
export const CONSOLE_CALLER = 'x-console-caller'
/** More than the largest picture that a machine's video memory of 16 MiB can make: no viewer ever waits for what it is owed. */
export const UNHEARD_BYTES_MAX = 20 * 1024 * 1024
/** Keys, pointer and pasted text that the machine has not taken yet. */
export const INPUT_BYTES_MAX = 1024 * 1024
export const CONSOLES_MAX = 64
/** A viewer that says nothing for so long, and at most twice as long, is gone without a word: a laptop that was shut. Our pages speak three times a minute. */
export const SILENCE_MS = 30 * 60_000
/** How often it is asked whether those who look on still may: a revocation closes a console within five seconds. */
export const RIGHTS_EVERY_MS = 4_000
/** So many questions without an answer, and nobody looks on: that somebody still may must be known. */
export const RIGHTS_UNKNOWN_MAX = 5
/** Close codes beside the standard ones; shown to the viewer with their reason. */
export const CLOSE = { ended: 1000, silent: 1001, revoked: 1008, too_much: 1009, lost: 1011 }

/** What is used of a server-side WebSocket. */
export interface ViewerSocket {
  send(data: Uint8Array): void
  close(code: number, reason: string): void
  addEventListener(type: 'message' | 'close' | 'error', listener: (event: { data?: unknown }) => void): void
}

/** Which of these callers are revoked by now, in their order. */
export type Revoked = (callers: Caller[]) => Promise<boolean[]>

export class Consoles {
  #open = new Map<Viewer, Caller>()
  #timers: Timers
  #revoked: Revoked
  #cancelRights: () => void = () => {}
  #unknown = 0

  constructor(timers: Timers, revoked: Revoked) {
    this.#timers = timers
    this.#revoked = revoked
  }

  get count(): number {
    return this.#open.size
  }

  /** Carries bytes both ways until the viewer or the machine is gone, or `caller`, who asked for the console, has lost the right. */
  async carry(socket: ViewerSocket, line: ConsoleLine, caller: Caller): Promise<void> {
    const viewer = new Viewer(socket, line, this.#timers)
    this.#open.set(viewer, caller)
    if (this.#open.size === 1) this.#askLater()
    try {
      await viewer.run()
    } finally {
      this.#open.delete(viewer)
      if (this.#open.size === 0) this.#cancelRights()
    }
  }

  #askLater(): void {
    this.#cancelRights = this.#timers.after(RIGHTS_EVERY_MS, () => void this.#askRights())
  }

  async #askRights(): Promise<void> {
    const asked = [...this.#open]
    try {
      const revoked = await this.#revoked(asked.map(([, caller]) => caller))
      this.#unknown = 0
      for (const [at, [viewer]] of asked.entries()) if (revoked[at] !== false) viewer.dismiss('the right to this console was revoked')
    } catch {
      this.#unknown++
      if (this.#unknown >= RIGHTS_UNKNOWN_MAX) for (const [viewer] of asked) viewer.dismiss('nobody could say whether this console may still be looked at')
    }
    if (this.#open.size > 0) this.#askLater()
  }
}

class Viewer {
  #socket: ViewerSocket
  #line: ConsoleLine
  #gone = false
  #unheard = 0
  #heard: () => void = () => {}
  #pending = 0
  #writing: Promise<void> = Promise.resolve()
  #spoke = true
  #timers: Timers
  #cancelWatch: () => void = () => {}

  constructor(socket: ViewerSocket, line: ConsoleLine, timers: Timers) {
    this.#socket = socket
    this.#line = line
    this.#timers = timers
    this.#watch()
    socket.addEventListener('message', ({ data }) => this.#message(data))
    socket.addEventListener('close', () => this.#leave())
    socket.addEventListener('error', () => this.#leave())
  }

  async run(): Promise<void> {
    const reader = this.#line.output.getReader()
    try {
      for (;;) {
        while (this.#unheard >= UNHEARD_BYTES_MAX && !this.#gone) await new Promise<void>((resolve) => { this.#heard = resolve })
        if (this.#gone) return
        const { done, value } = await reader.read()
        if (done) return this.#close(CLOSE.ended, 'the console was closed by the machine')
        this.#unheard += value.byteLength
        this.#socket.send(value)
      }
    } catch {
      this.#close(CLOSE.lost, 'the line to the machine was lost')
    } finally {
      this.#leave()
    }
  }

  #watch(): void {
    this.#cancelWatch = this.#timers.after(SILENCE_MS, () => {
      if (this.#spoke) {
        this.#spoke = false
        return this.#watch()
      }
      this.#close(CLOSE.silent, 'nothing was heard from the viewer')
      this.#leave()
    })
  }

  dismiss(reason: string): void {
    this.#close(CLOSE.revoked, reason)
    this.#leave()
  }

  #message(data: unknown): void {
    this.#spoke = true
    this.#unheard = 0
    this.#heard()
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data instanceof ArrayBuffer ? new Uint8Array(data) : ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : null
    if (bytes === null || bytes.byteLength === 0 || this.#gone) return
    this.#pending += bytes.byteLength
    if (this.#pending > INPUT_BYTES_MAX) {
      this.#close(CLOSE.too_much, 'more was sent than the machine takes')
      return this.#leave()
    }
    this.#writing = this.#writing.then(() => this.#pass(bytes)).catch(() => this.#leave())
  }

  async #pass(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength && !this.#gone; at += FRAME_BYTES_MAX) await this.#line.write(bytes.subarray(at, at + FRAME_BYTES_MAX))
    this.#pending -= bytes.byteLength
  }

  #close(code: number, reason: string): void {
    if (this.#gone) return
    try {
      this.#socket.close(code, reason)
    } catch {
      // It closed at the same moment.
    }
  }

  #leave(): void {
    if (this.#gone) return
    this.#gone = true
    this.#cancelWatch()
    this.#heard()
    this.#line.end()
  }
}
