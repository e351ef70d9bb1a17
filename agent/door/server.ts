/**
 * The door's HTTP server. Objects are served here by the object store's own handlers, Swift's and S3's; accounts, containers and what unpacks archives go to the plane as they are; other
 * doors call for replicas. It listens on the address that the operator named, and on no other.
 */
import { randomUUID } from 'node:crypto'
import http, { type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Env } from '../../durable-objects/kernel/env.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import { renderFault } from '../../workers/http/faults.ts'
import { Server } from '../../workers/http/serve.ts'
import { forgetAccount, forgetContainer } from '../../workers/object/known.ts'
import { PREFIX, parseNames, splitPath } from '../../workers/object/names.ts'
import { policies } from '../../workers/object/policy.ts'
import { forgetBuckets } from '../../workers/object/s3/known.ts'
import { s3 } from '../../workers/object/s3/service.ts'
import { object } from '../../workers/object/service.ts'
import type { ObjectDriver } from '../drivers/object/driver.ts'
import { type Log, messageOf } from '../log.ts'
import { replicaCall } from '../messages.ts'
import type { Timers } from '../timers.ts'
import type { Containers } from './containers.ts'
import { evidenceOf, hasty, passes, withEvidence } from './evidence.ts'
import { fanOf } from './fan.ts'
import { onDisk } from './hosts.ts'
import { type DoorPlane, isUnreachable } from './plane.ts'
import type { Peers } from './peers.ts'
import type { Presence } from './presence.ts'
import { DoorRequest, hasBody, headersOf } from './request.ts'
import { evidenceOfS3, isOnSite, isS3, passOn } from './s3.ts'
import { SEALING_HEADER, join } from './sealing.ts'

export const HEADERS_BYTES_MAX = 128 * 1024
const HEADERS_TIMEOUT_MS = 60_000
const KEEP_ALIVE_MS = 75_000
/** How long a refused body is still read. */
const UNWANTED_MS = 10_000
/** A body up to this size is held while it is written. */
const HELD_BYTES_MAX = 256 * 1024
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'proxy-connection', 'te', 'trailer', 'upgrade', 'host', 'expect'])
const OBJECT_METHODS = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'COPY', 'OPTIONS'])

export interface ServerDeps {
  plane: DoorPlane
  presence: Presence
  containers: Containers
  peers: Peers
  driver: ObjectDriver
  timers: Timers
  status(): unknown
  env(): Env
  log: Log
}

/** Whether this is about one object's bytes or metadata. */
function isObjectRequest(method: string, path: string, query: string, contentType: string): boolean {
  if (!OBJECT_METHODS.has(method) || /^multipart\/form-data/i.test(contentType) || /(^|&)(extract-archive|bulk-delete)(=|&|$)/.test(query)) return false
  // Segments that are to go later: their container sees to it.
  if (method === 'DELETE' && /(^|&)async=/.test(query)) return false
  return /^\/v1(\.0)?\/[^/]+\/[^/]+\/./s.test(path)
}

/** A short body and no condition on what is there. */
function isPlainPut({ method, headers }: IncomingMessage): boolean {
  const length = Number(headers['content-length'] ?? Number.NaN)
  return method === 'PUT' && length <= HELD_BYTES_MAX && headers['if-none-match'] === undefined && headers['if-match'] === undefined && headers['if-unmodified-since'] === undefined && headers['if-modified-since'] === undefined
}

export class DoorServer {
  #deps: ServerDeps
  #http: http.Server
  #servers: { env: Env; swift: Server; s3: Server } | null = null
  #open = 0

  constructor(deps: ServerDeps) {
    this.#deps = deps
    this.#http = http.createServer({ maxHeaderSize: HEADERS_BYTES_MAX, headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: 0, keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
      this.#open++
      response.on('close', () => this.#open--)
      this.#serve(request, response).catch((error: unknown) => this.#failed(request, response, error))
    })
  }

  /** Requests under way. */
  get open(): number {
    return this.#open
  }

  listen(address: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#http.once('error', reject)
      this.#http.listen(port, address, () => resolve((this.#http.address() as { port: number }).port))
    })
  }

  async close(): Promise<void> {
    this.#http.closeIdleConnections()
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()))
    this.#http.closeAllConnections()
    await closed
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = message.url ?? '/'
    const at = url.indexOf('?')
    const [path, query] = at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
    if (path === '/door/v1/health') return sendJson(response, 200, this.#deps.status())
    if (path === '/door/v1/replicas' && message.method === 'POST') return await this.#replica(message, response, url, new URLSearchParams(query))
    const claimed = path.startsWith(`${PREFIX}/`)
    if (isS3(message, this.#deps.env(), claimed)) return await this.#s3(message, response, path)
    if (!claimed) return sendJson(response, 404, { error: { code: 404, kind: 'not_found', message: `A door serves ${PREFIX} and S3 only.` } })
    const below = path.slice(PREFIX.length)
    if (below === '/healthcheck' || isObjectRequest(message.method ?? '', below, query, message.headers['content-type'] ?? '')) return await this.#object(message, response, below)
    await this.#forward(message, response, below)
  }

  async #object(message: IncomingMessage, response: ServerResponse, below: string): Promise<void> {
    const { presence } = this.#deps
    const { env, swift } = this.#handlers()
    const aborted = new AbortController()
    response.on('close', () => aborted.abort())
    const request = new DoorRequest(message, `http://${message.headers.host ?? 'door'}`, aborted.signal, this.#deps.timers)
    const evidence = evidenceOf(request.method, message.url ?? '/', request.headers)
    const id = `req-${randomUUID()}`
    const handle = () => swift.handle(request as unknown as Request, env, below, id, presence.now_ms(), (work) => void work.catch(() => {}))
    await withEvidence(evidence, async () => {
      if (!isPlainPut(message)) return await send(message, response, await handle())
      // Held, so that it can be written again should the time that it got here be too early.
      await request.hold()
      const mark = { used: false }
      hasty.set(evidence, mark)
      let answer = await handle()
      if (mark.used && answer.status === 202) {
        hasty.delete(evidence)
        answer = await handle()
      }
      await send(message, response, answer)
    })
  }

  async #s3(message: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const { presence, timers } = this.#deps
    const { env, s3: server } = this.#handlers()
    const id = `req-${randomUUID()}`
    let answer: Response
    try {
      if (isOnSite(message, env)) {
        const aborted = new AbortController()
        response.on('close', () => aborted.abort())
        const request = new DoorRequest(message, `http://${message.headers.host ?? 'door'}`, aborted.signal, timers)
        const evidence = evidenceOfS3(message, request.headers, presence.now_ms())
        passes.set(evidence, () => this.#passS3(message))
        return await withEvidence(evidence, async () => send(message, response, await server.handle(request as unknown as Request, env, path, id, presence.now_ms(), (work) => void work.catch(() => {}))))
      }
      answer = await this.#passS3(message)
    } catch (error) {
      if (!isFault(error) || response.headersSent) throw error
      answer = renderFault('s3', error, { method: message.method ?? 'GET', url: `http://door${path}` } as Request, id)
    }
    await send(message, response, answer)
  }

  async #passS3(message: IncomingMessage): Promise<Response> {
    const answer = await passOn(this.#deps, message)
    // Settings may be others now.
    if (message.method !== 'GET' && message.method !== 'HEAD') {
      forgetBuckets(this.#deps.env())
      this.#deps.containers.forgetFresh()
    }
    return answer
  }

  #handlers(): { env: Env; swift: Server; s3: Server } {
    const env = this.#deps.env()
    if (this.#servers?.env !== env) this.#servers = { env, swift: new Server(object, env, policies), s3: new Server(s3, env, policies) }
    return this.#servers
  }

  async #forward(message: IncomingMessage, response: ServerResponse, below: string): Promise<void> {
    const { plane, presence } = this.#deps
    if (!presence.online) throw new Fault('unavailable', 'The plane cannot be reached, and listings, accounts and containers are there only.', { headers: { 'retry-after': '5' } })
    const headers: OutgoingHttpHeaders = {}
    for (const [name, value] of headersOf(message)) if (!HOP_BY_HOP.has(name) && name !== 'cf-connecting-ip') headers[name] = value
    if (hasBody(message) && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked'
    let answer: IncomingMessage
    try {
      answer = await plane.forward(message.method ?? 'GET', message.url ?? '/', headers, hasBody(message) ? message : null)
    } catch (error) {
      if (isUnreachable(error)) presence.lost(error, 'forward')
      throw error
    }
    if (message.method !== 'GET' && message.method !== 'HEAD') this.#forget(below)
    response.writeHead(answer.statusCode ?? 502, Object.fromEntries(Object.entries(answer.headers).filter(([name]) => !HOP_BY_HOP.has(name))))
    if ((answer.statusCode ?? 500) < 300) this.#meet(message, below)
    await pipeline(answer, response)
  }

  /** A container that is used through this door is known to it from then on, also without the plane. */
  #meet(message: IncomingMessage, below: string): void {
    if (message.method === 'DELETE' || splitPath(below) === null) return
    const { account, container } = parseNames(below)
    if (container === null) return
    const evidence = evidenceOf(message.method ?? 'GET', message.url ?? '/', headersOf(message))
    withEvidence(evidence, () => this.#deps.containers.meet(account, container)).catch((error: unknown) => this.#deps.log('door_not_met', { account, container, error: messageOf(error) }))
  }

  /** ACLs, keys and quotas may be others now. */
  #forget(below: string): void {
    if (splitPath(below) === null) return
    const names = parseNames(below)
    forgetAccount(this.#deps.env(), names.account)
    if (names.container !== null) forgetContainer(this.#deps.env(), names.account, names.container)
    this.#deps.containers.forget(names.account, names.container)
  }

  async #replica(message: IncomingMessage, response: ServerResponse, url: string, query: URLSearchParams): Promise<void> {
    try {
      this.#deps.peers.check('POST', url, message.headers.authorization ?? '')
      const { op, args: given } = replicaCall(query.get('op'), JSON.parse(query.get('args') ?? '{}'))
      const args = join(given, query.get('sealing'), message.headers[SEALING_HEADER])
      const pieces = op === 'object.put' ? fanOf(message, this.#deps.timers).pieces : null
      const { value, body } = await onDisk(this.#deps.driver, op, args, pieces).finally(() => pieces?.return())
      if (body === null) return sendJson(response, 200, value)
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'x-skyhook-head': encodeURIComponent(JSON.stringify(value)) })
      await pipeline(Readable.from(body, { objectMode: false }), response)
    } catch (error) {
      if (response.headersSent) throw error
      const fault = isFault(error) ? error : new Fault('internal', messageOf(error))
      const { kind, details } = fault
      response.setHeader('x-skyhook-fault', kind)
      sendJson(response, kind === 'unauthorized' ? 401 : 409, { error: { kind, message: fault.message, ...(details === undefined ? {} : { details }) } })
      drain(message)
    }
  }

  #failed(message: IncomingMessage, response: ServerResponse, error: unknown): void {
    if (response.headersSent || response.destroyed) {
      // A body that breaks off must not look like its end.
      response.destroy()
      return
    }
    if (!isFault(error)) this.#deps.log('door_request_failed', { method: message.method, error: messageOf(error) })
    const fault = isFault(error) ? error : new Fault('internal', 'The door failed at this request.')
    const answer = renderFault('swift', fault, { method: message.method ?? 'GET', url: `http://door${PREFIX}` } as Request, '')
    send(message, response, answer).catch(() => response.destroy())
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

/** What the client still sends of a body that nobody wants is read for a while, for an answer may be lost where its connection is closed under it. */
function drain(message: IncomingMessage): void {
  if (message.complete || message.destroyed) return
  const timer = setTimeout(() => message.socket.destroy(), UNWANTED_MS)
  message.on('close', () => clearTimeout(timer))
  message.resume()
}

async function send(message: IncomingMessage, response: ServerResponse, answer: Response): Promise<void> {
  const headers: OutgoingHttpHeaders = {}
  for (const [name, value] of answer.headers) headers[name] = value
  const isBare = message.method === 'HEAD' || answer.status === 204 || answer.status === 304
  response.writeHead(answer.status, headers)
  const body = answer.body
  if (body === null || isBare) {
    void body?.cancel().catch(() => {})
    response.end()
  } else await pour(body as ReadableStream<Uint8Array>, response)
  drain(message)
}

/** As fast as the client reads. */
async function pour(body: ReadableStream<Uint8Array>, response: ServerResponse): Promise<void> {
  const reader = body.getReader()
  let wake: () => void = () => {}
  const woken = () => wake()
  response.on('drain', woken)
  response.on('close', woken)
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      if (response.destroyed) throw new Fault('client_closed', 'the client went away')
      if (!response.write(value)) await new Promise<void>((resolve) => {
        wake = resolve
        if (response.destroyed) resolve()
      })
    }
    response.end()
  } catch (error) {
    await reader.cancel(error).catch(() => {})
    response.destroy()
    if (!isFault(error, 'client_closed')) throw error
  } finally {
    response.off('drain', woken)
    response.off('close', woken)
  }
}
