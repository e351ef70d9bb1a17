/**
 * Replicas over the storage network, host to host, without the plane: a small HTTP server on the storage address, and its client. A request is signed with the sender's host
 * key over the operation, the receiver, the hash of its arguments and the time; the ring tells which hosts there are and their public halves. Bodies carry their own MD5
 * in those arguments. Never on a public address.
 */
import { createHash, createPublicKey, verify } from 'node:crypto'
import { type ClientRequest, createServer, type IncomingMessage, request as httpRequest, type Server, type ServerResponse } from 'node:http'
import { pipeline, Readable } from 'node:stream'
import type { PartitionAt, ReceiveArgs, ReplicaAnswers, ReplicaQueries, ReplicaQuery, VersionAt } from '../../schema/agent/replication.ts'
import { wireError } from '../../schema/agent/wire.ts'
import { FAULT_STATUS, Fault, type FaultKind, isFault } from '../../schema/values/fault.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'
import type { Identity } from '../identity.ts'
import { type Log, messageOf } from '../log.ts'
import { answerQuery } from './answer.ts'
import { framed, unframed } from './framed.ts'
import { type Lan, type LanHost, unreached } from './peers.ts'

export const CONNECT_TIMEOUT_MS = 3_000
export const IDLE_TIMEOUT_MS = 60_000
export const SIGNATURE_SKEW_MS = 5 * 60_000
export const ARGS_BYTES_MAX = 4 * 1024 * 1024
const LENGTH_BYTES = 4

/** Addresses that only a host's own network can reach. */
export function isPrivateAddress(address: string): boolean {
  if (/^(10\.|127\.|192\.168\.|169\.254\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(address) || /^172\.(1[6-9]|2\d|3[01])\./.test(address)) return true
  return address === '::1' || /^(f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):/i.test(address)
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const pathOf = (op: string, to: string, args: Uint8Array): string => `/objects/v1/${op}?to=${to}&args=${sha256(args)}`

// ---------------------------------------------------------------- client

export function createLan(identity: Identity): Lan {
  const open = async (host: LanHost, op: string, args: unknown, body: AsyncIterable<Uint8Array>): Promise<{ request: ClientRequest; response: IncomingMessage }> => {
    const json = Buffer.from(JSON.stringify(args))
    const path = pathOf(op, host.id, json)
    const request = httpRequest({ host: host.address, port: host.port, method: 'POST', path, headers: { authorization: identity.authorization('POST', path), 'content-type': 'application/octet-stream' } })
    let connected = false
    request.on('socket', (socket) => {
      connected = !socket.connecting
      socket.setTimeout(connected ? IDLE_TIMEOUT_MS : CONNECT_TIMEOUT_MS)
      if (connected) return
      socket.once('connect', () => {
        connected = true
        socket.setTimeout(IDLE_TIMEOUT_MS)
      })
    })
    request.on('timeout', () => request.destroy(new Error(connected ? 'no byte for too long' : 'no answer')))
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve)
      request.on('error', (error) => reject(connected ? new Fault('unavailable', `${host.address}: ${error.message}`) : unreached(new Fault('unavailable', `${host.address}: ${error.message}`))))
    })
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32BE(json.length)
    const gone = new Promise<void>((resolve, reject) => pipeline(Readable.from(sent(length, json, body), { objectMode: false }), request, (error) => (error ? reject(error) : resolve())))
    let isAnswered = false
    // An answer that comes before the body is out says more than the broken pipe.
    gone.catch((error: Error) => isAnswered || request.destroy(error))
    const response = await answered
    isAnswered = true
    if (response.statusCode === 200) return { request, response }
    const text = await textOf(response)
    if (!request.writableFinished) request.destroy()
    // Another host lives at this address: as good as nobody.
    if (response.statusCode === 421) throw unreached(new Fault('unavailable', `${host.address} is not the host it was`))
    const told = parseError(text)
    throw new Fault(told.kind in FAULT_STATUS ? (told.kind as FaultKind) : 'unavailable', told.message, { details: told.details })
  }
  const call = async (host: LanHost, op: string, args: unknown, body: AsyncIterable<Uint8Array>): Promise<unknown> => {
    const { request, response } = await open(host, op, args, body)
    const text = await textOf(response)
    // Not wanted any further: the other side reads on until we stop.
    if (!request.writableFinished) request.destroy()
    return JSON.parse(text)
  }
  return {
    ask: async <Q extends keyof ReplicaQueries>(host: LanHost, what: Q, args: ReplicaQueries[Q]) => (await call(host, 'query', { what, ...args }, nothing())) as ReplicaAnswers[Q],
    send: async (host, args, body) => ((await call(host, 'receive', args, args.kind === 'data' ? body : nothing())) as { taken: boolean }).taken,
    read: async (host, from) => await unframed((await open(host, 'read', from, nothing())).response),
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* sent(length: Uint8Array, json: Uint8Array, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield length
  yield json
  yield* body
}

async function textOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

function parseError(text: string): { kind: string; message: string; details?: unknown } {
  try {
    return JSON.parse(text) as { kind: string; message: string }
  } catch {
    return { kind: 'unavailable', message: text.slice(0, 300) }
  }
}

// ---------------------------------------------------------------- server

export interface LanServerDeps {
  host_id: string
  replicas: ObjectReplicas
  /** Public half (base64url, 32 bytes) of a host of the ring; null for any other. */
  keyOf(host_id: string): string | null
  /** The host has fragments of this partition to see to. */
  mayRead(host_id: string, at: PartitionAt): boolean
  now_ms(): number
  log: Log
}

export interface LanServer {
  port: number
  close(): Promise<void>
}

export async function serveLan(deps: LanServerDeps, address: string, port: number): Promise<LanServer> {
  if (!isPrivateAddress(address)) throw new Fault('bad_request', `${address} is a public address: replicas go by the storage network only`)
  const server: Server = createServer((request, response) => {
    void serve(deps, request, response).catch((error: unknown) => {
      const told = wireError(error)
      if (!isFault(error, 'unauthorized')) deps.log('lan_failed', { path: request.url?.split('?')[0], error: messageOf(error) })
      reply(request, response, isFault(error) ? (error.status ?? FAULT_STATUS[error.kind]) : 500, told)
    })
  })
  server.requestTimeout = 0
  server.headersTimeout = CONNECT_TIMEOUT_MS * 3
  server.setTimeout(IDLE_TIMEOUT_MS)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, () => resolve())
  })
  return {
    port: (server.address() as { port: number }).port,
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  }
}

async function serve(deps: LanServerDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://lan')
  if (request.method !== 'POST' || !['/objects/v1/query', '/objects/v1/receive', '/objects/v1/read'].includes(url.pathname)) throw new Fault('not_found', 'no such path')
  const from = authorize(deps, request)
  if (url.searchParams.get('to') !== deps.host_id) throw new Fault('bad_request', 'this is another host', { status: 421 })
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>
  try {
    const { args, rest } = await takeArgs(chunks)
    if (url.searchParams.get('args') !== sha256(args)) throw new Fault('unauthorized', 'the arguments are not those that were signed')
    const given = JSON.parse(Buffer.from(args).toString()) as unknown
    if (url.pathname.endsWith('read')) return await give(deps, from, given as VersionAt, response)
    const answer = url.pathname.endsWith('query') ? await answerQuery(deps.replicas, given as ReplicaQuery) : { taken: await deps.replicas.receive(given as ReceiveArgs, rest) }
    await chunks.return?.()
    reply(request, response, 200, answer)
  } finally {
    await chunks.return?.()
  }
}

/** The answer at once. What still comes is read past until the sender stops: a connection closed over unread bytes would take the answer with it, and one kept would be stuck. */
function reply(request: IncomingMessage, response: ServerResponse, status: number, answer: unknown): void {
  const text = Buffer.from(JSON.stringify(answer))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length })
  if (request.readableEnded || request.destroyed) return void response.end(text)
  response.write(text)
  request.once('end', () => response.end())
  request.once('close', () => response.end())
  request.resume()
}

/** A fragment, for a host that computes another one of the same object. */
async function give({ replicas, mayRead }: LanServerDeps, host_id: string, at: VersionAt, response: ServerResponse): Promise<void> {
  if (at.kind !== 'data' || at.fragment === undefined || !mayRead(host_id, at)) throw new Fault('forbidden', 'only fragments are given, and to hosts of the same partition')
  const { stored, body } = await replicas.read(at)
  response.writeHead(200, { 'content-type': 'application/octet-stream' })
  await new Promise<void>((resolve) => pipeline(Readable.from(framed(stored, body), { objectMode: false }), response, () => resolve()))
}

/** The host that signed. */
function authorize({ keyOf, now_ms }: LanServerDeps, request: IncomingMessage): string {
  const match = /^Skyhook-Host ([0-9a-f-]{36}):(\d{1,16}):([A-Za-z0-9_-]{86})$/.exec(request.headers.authorization ?? '')
  const refused = new Fault('unauthorized', 'the signature was refused')
  if (match === null) throw refused
  const [, host = '', time = '', signature = ''] = match
  const key = keyOf(host)
  if (key === null || Math.abs(Number(time) - now_ms()) > SIGNATURE_SKEW_MS) throw refused
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: key }, format: 'jwk' })
  if (!verify(null, Buffer.from(`POST\n${request.url}\n${time}`), publicKey, Buffer.from(signature, 'base64url'))) throw refused
  return host
}

/** Splits a body into its arguments and what follows. */
async function takeArgs(chunks: AsyncIterator<Buffer>): Promise<{ args: Uint8Array; rest: AsyncIterable<Uint8Array> }> {
  let held = Buffer.alloc(0)
  const need = async (length: number): Promise<void> => {
    while (held.length < length) {
      const { done, value } = await chunks.next()
      if (done === true) throw new Fault('bad_request', 'the body ended early')
      held = Buffer.concat([held, value])
    }
  }
  await need(LENGTH_BYTES)
  const length = held.readUInt32BE(0)
  if (length > ARGS_BYTES_MAX) throw new Fault('too_large', 'the arguments are too large')
  await need(LENGTH_BYTES + length)
  const args = held.subarray(LENGTH_BYTES, LENGTH_BYTES + length)
  const first = held.subarray(LENGTH_BYTES + length)
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    if (first.length > 0) yield first
    for (;;) {
      const { done, value } = await chunks.next()
      if (done === true) return
      yield value
    }
  }
  return { args, rest: rest() }
}
