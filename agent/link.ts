/** The host link's transport: an interface, and the WebSocket that implements it. A simulation passes its own, without sockets. */
import { WebSocket } from 'ws'
import { MESSAGE_BYTES_MAX } from '../schema/agent/protocol.ts'
import type { Identity } from './identity.ts'

export interface LinkEvents {
  opened(): void
  message(data: string | Uint8Array): void
  /** Called once, also where the link never opened. */
  closed(code: number, reason: string): void
}

export interface LinkSocket {
  send(data: string | Uint8Array): void
  close(code: number, reason: string): void
}

export interface LinkTransport {
  /** The plane is on this very machine: no crowd of hosts to spread, so it is asked again soon. */
  near?: boolean
  connect(events: LinkEvents): LinkSocket
}

const PING_INTERVAL_MS = 20_000
const HANDSHAKE_TIMEOUT_MS = 15_000

export function webSocketTransport(plane: string, identity: Identity): LinkTransport {
  return {
    near: /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(new URL(plane).hostname),
    connect(events) {
      const path = `/agents/v1/link?host=${encodeURIComponent(identity.host_id)}`
      const url = new URL(path, plane)
      url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
      const socket = new WebSocket(url.href, {
        headers: { authorization: identity.authorization('GET', path) }, maxPayload: MESSAGE_BYTES_MAX, handshakeTimeout: HANDSHAKE_TIMEOUT_MS, perMessageDeflate: false, skipUTF8Validation: false,
      })
      let alive = true
      let over = false
      const ping = setInterval(() => {
        if (!alive) return socket.terminate()
        alive = false
        if (socket.readyState === WebSocket.OPEN) socket.ping()
      }, PING_INTERVAL_MS)
      const end = (code: number, reason: string) => {
        if (over) return
        over = true
        clearInterval(ping)
        events.closed(code, reason)
      }
      let failure = ''
      socket.on('open', () => events.opened())
      socket.on('pong', () => {
        alive = true
      })
      socket.on('message', (data: Buffer, binary) => {
        alive = true
        events.message(binary ? data : data.toString())
      })
      socket.on('error', (error) => {
        failure = error.message
      })
      socket.on('close', (code, reason) => end(code, reason.toString() || failure))
      return {
        send: (data) => {
          if (socket.readyState === WebSocket.OPEN) socket.send(data)
        },
        close: (code, reason) => {
          socket.close(code, reason)
          end(code, reason)
          // A peer that does not answer the close keeps no socket of ours.
          setTimeout(() => socket.terminate(), 2_000).unref()
        },
      }
    },
  }
}
