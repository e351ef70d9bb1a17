/**
 * 169.254.169.254 in each network's namespace. A socket stays in the namespace it was made in, whichever thread reads
 * it: so the agent makes one listening socket per network there (setns, socket, setns back) and serves all of them itself. No helper
 * process, no forwarding, and the peer's address is the guest's own, so two networks with the same addresses stay apart by
 * the socket a request came through. The sockets end with the agent and are made again when it starts.
 */
import { closeSync, openSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import koffi from 'koffi'
import type { MetadataSource } from '../driver.ts'

const CLONE_NEWNET = 0x4000_0000
const AF_INET = 2
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const BACKLOG = 64
const CONNECTIONS_MAX = 128
const BODY_BYTES_MAX = 64 * 1024
/** Of a connection in all: the servers here never listen themselves, so Node's own request timeouts do not run. */
const TIMEOUT_MS = 30_000

type Native = (...args: unknown[]) => number
let libc: Record<'setns' | 'socket' | 'setsockopt' | 'bind' | 'listen' | 'close', Native> | null = null

function native() {
  if (libc === null) {
    const library = koffi.load('libc.so.6')
    libc = {
      setns: library.func('int setns(int fd, int type)') as Native,
      socket: library.func('int socket(int domain, int type, int protocol)') as Native,
      setsockopt: library.func('int setsockopt(int fd, int level, int name, const void *value, uint size)') as Native,
      bind: library.func('int bind(int fd, const void *address, uint size)') as Native,
      listen: library.func('int listen(int fd, int backlog)') as Native,
      close: library.func('int close(int fd)') as Native,
    }
  }
  return libc
}

const must = (what: string, result: number): number => {
  if (result < 0) throw new Error(`metadata: ${what} failed (errno ${koffi.errno()})`)
  return result
}

/** A listening TCP socket inside a network namespace, as a file descriptor. All in one turn: no other code runs in between. */
export function listenInNamespace(path: string, address: string, port: number): number {
  const c = native()
  const target = openSync(path, 'r')
  const home = openSync('/proc/thread-self/ns/net', 'r')
  let fd = -1
  try {
    must('setns', c.setns(target, CLONE_NEWNET))
    try {
      fd = must('socket', c.socket(AF_INET, SOCK_STREAM_NONBLOCK_CLOEXEC, 0))
      const one = Buffer.from(new Int32Array([1]).buffer)
      must('setsockopt', c.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, one.length))
      const name = Buffer.alloc(16)
      name.writeUInt16LE(AF_INET, 0)
      name.writeUInt16BE(port, 2)
      name.set(address.split('.').map(Number), 4)
      must('bind', c.bind(fd, name, name.length))
      must('listen', c.listen(fd, BACKLOG))
    } finally {
      // An agent that stays in a tenant's namespace would do everything else there: better none at all.
      if (c.setns(home, CLONE_NEWNET) < 0) process.abort()
    }
    return fd
  } catch (error) {
    if (fd >= 0) c.close(fd)
    throw error
  } finally {
    closeSync(target)
    closeSync(home)
  }
}

export interface MetadataServer {
  /** Serves the network in that namespace; nothing where it does already. `made`: the namespace is new, older sockets are in a dead one. */
  ensure(networkId: string, namespacePath: string, made: boolean): void
  listening(networkId: string): boolean
  remove(networkId: string): void
  close(): void
}

async function readBody(request: IncomingMessage): Promise<Uint8Array | null> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_BYTES_MAX) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const plain = (response: ServerResponse, status: number, text: string): void => {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(text)
}

export function createMetadataServer(source: MetadataSource, address: string, port = 80): MetadataServer {
  const networkOf = new WeakMap<Socket, string>()
  const listeners = new Map<string, Server>()

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const networkId = networkOf.get(request.socket)
    const from = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
    const serverId = networkId === undefined ? null : source.find(networkId, from)
    if (serverId === null) return plain(response, 404, 'no server has this address\n')
    const body = await readBody(request)
    if (body === null) return plain(response, 413, 'too large\n')
    const headers = Object.fromEntries(Object.entries(request.headers).map(([key, value]) => [key, Array.isArray(value) ? value.join(', ') : (value ?? '')]))
    const answer = await source.answer(serverId, { method: request.method ?? 'GET', path: request.url ?? '/', headers, body })
    response.writeHead(answer.status, answer.headers)
    response.end(request.method === 'HEAD' ? undefined : answer.body)
  }

  const http = createHttpServer({ keepAliveTimeout: 5000 }, (request, response) => {
    handle(request, response).catch(() => {
      if (response.headersSent) response.destroy()
      else plain(response, 500, 'metadata is not available\n')
    })
  })

  const remove = (networkId: string): void => {
    listeners.get(networkId)?.close()
    listeners.delete(networkId)
  }

  return {
    ensure(networkId, namespacePath, made) {
      if (made) remove(networkId)
      if (listeners.has(networkId)) return
      const listener = createServer((socket) => {
        networkOf.set(socket, networkId)
        const limit = setTimeout(() => socket.destroy(), TIMEOUT_MS).unref()
        socket.on('close', () => clearTimeout(limit))
        http.emit('connection', socket)
      })
      listener.maxConnections = CONNECTIONS_MAX
      listener.on('error', () => remove(networkId))
      listener.listen({ fd: listenInNamespace(namespacePath, address, port) })
      listeners.set(networkId, listener)
    },
    listening: (networkId) => listeners.has(networkId),
    remove,
    close() {
      for (const networkId of [...listeners.keys()]) remove(networkId)
      http.closeAllConnections()
    },
  }
}
