/** WebSockets of the platform in this process: `WebSocketPair`, and answers with status 101. Installed by the tests that need them. */
type Listener = (event: { data?: unknown; code?: number; reason?: string }) => void

/** One end. What is sent arrives at the other in a later turn, in order. */
export class PairedSocket {
  other: PairedSocket | null = null
  binaryType = 'blob'
  closed: { code: number; reason: string } | null = null
  #listeners: Record<string, Listener[]> = {}
  /** Came before anybody listened. */
  #early: [string, Parameters<Listener>[0]][] = []

  accept(): void {}

  send(data: string | Uint8Array): void {
    if (this.closed) throw new Error('the socket is closed')
    const sent = typeof data === 'string' ? data : data.slice().buffer
    queueMicrotask(() => this.other?.tell('message', { data: sent }))
  }

  close(code = 1000, reason = ''): void {
    if (this.closed) return
    this.closed = { code, reason }
    const { other } = this
    queueMicrotask(() => {
      if (!other || other.closed) return
      other.closed = { code, reason }
      other.tell('close', { code, reason })
    })
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners[type] = [...(this.#listeners[type] ?? []), listener]
    for (const [, event] of this.#early.filter(([kind]) => kind === type)) listener(event)
    this.#early = this.#early.filter(([kind]) => kind !== type)
  }

  tell(type: string, event: Parameters<Listener>[0]): void {
    if (this.#listeners[type] === undefined) this.#early.push([type, event])
    for (const listener of this.#listeners[type] ?? []) listener(event)
  }
}

export function installSockets(): void {
  const NodeResponse = globalThis.Response
  class UpgradeResponse extends NodeResponse {
    override webSocket: WebSocket | null
    constructor(body?: BodyInit | null, init: ResponseInit & { webSocket?: WebSocket | null } = {}) {
      super(body, init.status === 101 ? { ...init, status: 200 } : init)
      this.webSocket = init.webSocket ?? null
      if (init.status === 101) Object.defineProperty(this, 'status', { value: 101 })
    }
  }
  class WebSocketPair {
    0 = new PairedSocket()
    1 = new PairedSocket()
    constructor() {
      this[0].other = this[1]
      this[1].other = this[0]
    }
  }
  Object.assign(globalThis, { Response: UpgradeResponse, WebSocketPair })
}
