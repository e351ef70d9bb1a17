/** The control channels of the machines that run: one each, opened when first needed, and watched for what machines do by themselves. */
import { Fault } from '../../../../schema/values/fault.ts'
import { type Log, messageOf } from '../../../log.ts'
import { sleep, type Timers } from '../../../timers.ts'
import { endProcess, findProcess, lastWords } from './process.ts'
import { Qmp } from './qmp.ts'

export interface Live {
  qmp: Qmp
  /** We are ending it: what happens now is no news. */
  ending: boolean
}

export interface ChannelEvents {
  /** The guest powered off by itself; its process waits. */
  guestShutdown(id: string): void
  /** The process went, or the guest's kernel panicked. */
  changed(id: string): void
}

const START_TIMEOUT_MS = 20_000

export class Channels {
  private live = new Map<string, Promise<Live>>()
  private closed = false
  private folderOf: (id: string) => string
  private timers: Timers
  private log: Log
  private events: ChannelEvents

  constructor(folderOf: (id: string) => string, timers: Timers, log: Log, events: ChannelEvents) {
    this.folderOf = folderOf
    this.timers = timers
    this.log = log
    this.events = events
  }

  /** Lets go of all; the machines go on. */
  close(): void {
    this.closed = true
    for (const live of this.live.values()) void live.then(({ qmp }) => qmp.close(), () => {})
    this.live.clear()
  }

  /** Null where no process runs. */
  async get(id: string): Promise<Live | null> {
    const known = this.live.get(id)
    if (known) return known.catch(() => null)
    if (findProcess(this.folderOf(id), id) === null) return null
    return this.attach(id).catch((error: unknown) => {
      this.log('qmp_failed', { id, error: messageOf(error) })
      throw new Fault('unavailable', `QEMU of ${id} runs and does not answer: ${messageOf(error)}`)
    })
  }

  /** The control channel of a new process opens within moments; a process that dies before leaves its last words. */
  async first(id: string, pid: number): Promise<Live> {
    for (let waited = 0; waited < START_TIMEOUT_MS; waited += 10) {
      try {
        return await this.attach(id)
      } catch {
        await sleep(this.timers, 10)
      }
      if (!isRunning(pid)) break
    }
    const words = lastWords(this.folderOf(id))
    await endProcess(this.folderOf(id), id, this.timers)
    throw new Fault('internal', `QEMU did not start: ${words}`)
  }

  /** Ends the process, and what was open to it. */
  async end(id: string): Promise<void> {
    const live = await this.live.get(id)?.catch(() => null)
    if (live) live.ending = true
    await endProcess(this.folderOf(id), id, this.timers)
    live?.qmp.close()
    this.live.delete(id)
  }

  private attach(id: string): Promise<Live> {
    const opening = Qmp.open(this.folderOf(id), this.timers).then((qmp): Live => {
      const live: Live = { qmp, ending: false }
      qmp.onClose = () => {
        if (this.live.get(id) === opening) this.live.delete(id)
        if (!live.ending && !this.closed) this.events.changed(id)
      }
      qmp.listen(({ event, data }) => {
        if (event === 'SHUTDOWN' && !live.ending && data.guest === true && data.reason === 'guest-shutdown') this.events.guestShutdown(id)
        else if (event === 'GUEST_PANICKED') this.events.changed(id)
      })
      return live
    })
    this.live.set(id, opening)
    opening.catch(() => {
      if (this.live.get(id) === opening) this.live.delete(id)
    })
    return opening
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
