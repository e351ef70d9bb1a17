/** The smallest plane a test of the agent needs: the other end of an in-memory host link, with desired items and transfers as maps. */
import { createHash } from 'node:crypto'
import type { Command, CommandArgs, CommandName } from '../../schema/agent/commands.ts'
import type { DesiredItem } from '../../schema/agent/desired.ts'
import type { ObservedItem } from '../../schema/agent/observed.ts'
import type { AgentMessage, PlaneMessage } from '../../schema/agent/protocol.ts'
import type { LinkEvents, LinkTransport } from '../link.ts'
import type { PlaneHttp } from '../plane.ts'
import { keyOf } from '../state.ts'

export class MiniPlane {
  version = 0
  items = new Map<string, { item: DesiredItem; version: number }>()
  observed = new Map<string, ObservedItem>()
  results = new Map<string, Extract<AgentMessage, { type: 'result' }>>()
  messages: AgentMessage[] = []
  frames: Uint8Array[] = []
  uploads = new Map<string, Uint8Array>()
  downloads = new Map<string, Uint8Array>()
  downloadCount = 0
  /** While false, connections are refused. */
  open = true
  acknowledge = true
  private events: LinkEvents | null = null
  private watchers: (() => void)[] = []

  readonly transport: LinkTransport = {
    connect: (events) => {
      queueMicrotask(() => {
        if (!this.open) return events.closed(1006, 'refused')
        this.events = events
        events.opened()
      })
      return {
        send: (data) => {
          if (this.events !== events) return
          if (typeof data === 'string') this.received(JSON.parse(data) as AgentMessage)
          else this.frames.push(data)
          this.changed()
        },
        close: () => {
          if (this.events === events) this.events = null
        },
      }
    },
  }

  readonly http: PlaneHttp = {
    get: async (path) => {
      const bytes = this.downloads.get(path)
      if (!bytes) throw new Error(`404 ${path}`)
      this.downloadCount++
      return { size_bytes: bytes.byteLength, body: (async function* () { yield bytes })() }
    },
    put: async (path, body) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of body) chunks.push(chunk)
      this.uploads.set(path, new Uint8Array(Buffer.concat(chunks)))
    },
    call: async (path) => {
      throw new Error(`404 ${path}`)
    },
  }

  want(...items: DesiredItem[]): void {
    const from = this.version
    this.version++
    for (const item of items) this.items.set(keyOf(item.kind, item.id), { item, version: this.version })
    this.say({ type: 'desired', from, to: this.version, items })
  }

  say(message: PlaneMessage): void {
    this.events?.message(JSON.stringify(message))
  }

  frame(frame: Uint8Array): void {
    this.events?.message(frame)
  }

  cut(): void {
    const { events } = this
    this.events = null
    events?.closed(1006, 'cut')
  }

  command<C extends CommandName>(id: string, name: C, args: CommandArgs[C], deadline_ms = Date.now() + 60_000): void {
    this.say({ type: 'command', id, name, args, deadline_ms } as { type: 'command' } & Command)
  }

  /** Resolves when `test` holds; looked at after each message. */
  async until(test: () => boolean, timeout_ms = 5_000): Promise<void> {
    if (test()) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not in ${timeout_ms} ms; observed ${JSON.stringify([...this.observed.values()])}`)), timeout_ms)
      this.watchers.push(() => {
        if (!test()) return
        clearTimeout(timer)
        resolve()
      })
    })
  }

  status(kind: DesiredItem['kind'], id: string): string | undefined {
    const report = this.observed.get(keyOf(kind, id))
    return report && `${report.status}@${report.generation}`
  }

  image(id: string, bytes: Uint8Array) {
    this.downloads.set(`/agents/v1/images/${id}/file?owner=p1`, bytes)
    return { id, owner_id: 'p1', size_bytes: bytes.byteLength, sha512: createHash('sha512').update(bytes).digest('hex'), disk_format: 'raw', properties: {} }
  }

  private received(message: AgentMessage): void {
    this.messages.push(message)
    if (message.type === 'hello') {
      this.say({ type: 'welcome', protocol_version: 1, host_id: 'h', now_ms: Date.now() })
      const from = message.desired_version <= this.version ? message.desired_version : 0
      this.say({ type: 'desired', from, to: this.version, items: [...this.items.values()].filter((entry) => from === 0 || entry.version > from).map((entry) => entry.item) })
    } else if (message.type === 'observed') {
      for (const item of message.items) this.observed.set(keyOf(item.kind, item.id), item)
      if (this.acknowledge) this.say({ type: 'observed_ack', seq: message.seq })
    } else if (message.type === 'result') this.results.set(message.id, message)
  }

  private changed(): void {
    for (const watcher of this.watchers) watcher()
  }
}
