/** Hosts as the replicas call them: this one's disks directly, those of other doors over the LAN, the rest through the plane. */
import http from 'node:http'
import https from 'node:https'
import { Readable } from 'node:stream'
import type { ReadableStream as NodeStream } from 'node:stream/web'
import { pipeline } from 'node:stream/promises'
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { FindArgs, FoundHere, FragmentsFound, ObjectArgs, ObjectHead, ObjectOpArgs, ObjectOp } from '../../schema/agent/protocol.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import { wireError } from '../../schema/agent/wire.ts'
import { type Spares, resume } from '../../workers/object/resume.ts'
import type { ObjectDriver } from '../drivers/object/driver.ts'
import { type Intake, shareIntake } from '../drivers/object/intake.ts'
import { findHere } from '../find.ts'
import type { Identity } from '../identity.ts'
import { evidenceNow, forThisRequest } from './evidence.ts'
import { FanBody, Pieces } from './fan.ts'
import { type DoorPlane, STREAM_IDLE_MS, isUnreachable, lengthOf, queryPart, replicaAnswer } from './plane.ts'
import type { Presence } from './presence.ts'
import { split } from './sealing.ts'

/** A door that did not answer is not called for this long. */
export const PEER_AVOIDED_MS = 10_000
export const PEER_CONNECT_MS = 3_000

type Body = ReadableStream<Uint8Array>
type Answer = { value: unknown; body: AsyncIterable<Uint8Array> | null }

export interface HostsDeps {
  identity: Identity
  driver: ObjectDriver
  plane: DoorPlane
  presence: Presence
}

export class Hosts {
  #deps: HostsDeps
  #agents = { 'http:': new http.Agent({ keepAlive: true, maxSockets: 256 }), 'https:': new https.Agent({ keepAlive: true, maxSockets: 256 }) }
  /** As an Env has them. */
  readonly namespace = { getByName: (id: string) => this.#host(id) } as unknown as Env['HOST']
  /** Of each client's request: by object and time. */
  #intakes = new WeakMap<object, Map<string, () => Intake>>()
  /** Doors that did not answer, until when they are left alone. */
  #away = new Map<string, number>()

  constructor(deps: HostsDeps) {
    this.#deps = deps
  }

  close(): void {
    for (const agent of Object.values(this.#agents)) agent.destroy()
  }

  /** The stub of one host, with what replicas.ts calls. */
  #host(id: string) {
    const ask = async (op: ObjectOp, args: ObjectArgs): Promise<Answer> => await this.#ask(id, op, args, null)
    const put = async (args: ObjectArgs, body: Body): Promise<Answer> => {
      try {
        return await this.#ask(id, 'object.put', args, body)
      } finally {
        // One that fails before it has begun to read must not hold up the others.
        if (body instanceof FanBody) await body.pieces.return()
      }
    }
    return {
      status: async () => ({ connected: await this.#connected(id) }),
      objectPut: async (args: ObjectArgs, body: Body) => (await put(args, body)).value as ObjectHead,
      objectsFind: (args: FindArgs, spares: Spares = []) => this.#find(id, args, spares),
      objectHead: async (args: ObjectArgs) => (await ask('object.head', args)).value as ObjectHead,
      objectPost: async (args: ObjectArgs) => (await ask('object.post', args)).value as ObjectHead,
      objectFragments: async (args: ObjectArgs) => (await ask('object.fragments', args)).value as FragmentsFound,
      objectCommit: async (args: ObjectArgs) => (await ask('object.commit', args)).value as { timestamp: string },
      objectDoubt: async (args: ObjectArgs) => (await ask('object.doubt', args)).value as { put_aside: boolean },
      objectDelete: async (args: ObjectArgs) => (await ask('object.delete', args)).value as { timestamp: string; existed: boolean },
      /** Word for a listing is kept on this host's own disks; others keep their own. */
      objectDefer: async ({ update, ...at }: ObjectOpArgs['object.defer']) => {
        if (id !== this.#deps.identity.host_id) throw new Fault('unavailable', 'A door keeps word for a listing on its own disks only.')
        await this.#deps.driver.replicas.defer(at, update)
      },
      objectGet: async (args: ObjectArgs, spares: Spares = []) => {
        const { value, body } = await ask('object.get', args)
        const head = value as ObjectHead
        return { head, body: streamFrom(body === null ? Readable.from([]) : this.#lasting(id, body, head, args, spares)) }
      },
    }
  }

  #ask(id: string, op: ObjectOp, args: ObjectArgs, body: Body | null): Promise<Answer> {
    const { identity, driver, presence } = this.#deps
    if (id === identity.host_id) return onDisk(driver, op, args, body === null ? null : chunksOf(body), op === 'object.put' && args.fragment === undefined ? this.#intake(args) : undefined)
    const url = presence.host(id)?.door_url ?? null
    if (url !== null && !this.#isAway(id)) return this.#onPeer(id, url, op, args, body)
    return this.#throughPlane(id, op, args, body)
  }

  /** The body; where it breaks off, the rest of it from another host. */
  #lasting(id: string, body: AsyncIterable<Uint8Array>, head: ObjectHead | null, args: ObjectArgs, spares: Spares): AsyncIterable<Uint8Array> {
    if (spares.length === 0) return body
    const within = forThisRequest()
    return goingOn(body, (sent) => within(() => resume({ HOST: this.namespace }, head, args, [...spares], sent, (doubted) => this.#host(id).objectDoubt(doubted))))
  }

  /** Several devices of a host: own ones in one go, of another one by one. */
  async #find(id: string, args: FindArgs, spares: Spares): Promise<{ found: FoundHere[]; body: Uint8Array | Body | null }> {
    const { identity, driver } = this.#deps
    if (id === identity.host_id) {
      const { found, body } = await findHere(driver, args)
      return { found, body: body === null || body instanceof Uint8Array ? body : streamFrom(this.#lasting(id, body, headIn(found[0]), args.at, spares)) }
    }
    const works = [args.at.device, ...args.also].map((device, n) => this.#ask(id, args.body && n === 0 ? 'object.get' : 'object.head', { ...args.at, device }, null))
    const answers = await Promise.allSettled(works)
    const found = answers.map((one): FoundHere => (one.status === 'fulfilled' ? { head: one.value.value as ObjectHead } : { error: wireError(one.reason) }))
    const [first] = answers
    return { found, body: first?.status === 'fulfilled' && first.value.body !== null ? streamFrom(this.#lasting(id, first.value.body, first.value.value as ObjectHead, args.at, spares)) : null }
  }

  /** Replicas of one write on several of this host's devices share what is learned of the body. */
  #intake(args: ObjectArgs): Intake {
    const evidence = evidenceNow()
    const known = this.#intakes.get(evidence) ?? new Map<string, () => Intake>()
    this.#intakes.set(evidence, known)
    // A second try at a handoff begins the body anew.
    const tried = `${args.hash} ${args.timestamp} ${args.device}`
    const key = `${args.hash} ${args.timestamp}`
    const share = known.has(tried) ? undefined : known.get(key)
    const view = share ?? shareIntake(args)
    known.set(key, view).set(tried, view)
    return view()
  }

  async #throughPlane(id: string, op: ObjectOp, args: ObjectArgs, body: Body | null): Promise<Answer> {
    const { plane, presence } = this.#deps
    // A body that is streamed can be sent once only: a host that is down is not tried with it.
    if (!presence.online || (body !== null && presence.host(id)?.up !== true)) throw new Fault('unavailable', 'The host cannot be reached: it has no door, and no link to a plane that answers.')
    try {
      return await plane.replica(evidenceNow(), op, id, withoutKeys(args), body === null ? null : readable(body))
    } catch (error) {
      // An early refusal breaks the stream of a body: that says nothing of the plane.
      if (isUnreachable(error) && body === null) presence.lost(error, op)
      throw error
    }
  }

  async #onPeer(id: string, url: string, op: ObjectOp, args: ObjectArgs, body: Body | null): Promise<Answer> {
    try {
      return await this.#send(url, op, args, body)
    } catch (error) {
      if (isFault(error)) throw error
      this.#away.set(id, this.#deps.presence.now_ms() + PEER_AVOIDED_MS)
      if (body === null && this.#deps.presence.online) return await this.#throughPlane(id, op, args, null)
      throw new Fault('unavailable', 'The host cannot be reached: its door does not answer.', { cause: error })
    }
  }

  async #send(url: string, op: ObjectOp, args: ObjectArgs, body: Body | null): Promise<Answer> {
    const sealed = split(args)
    const path = `/door/v1/replicas?op=${op}&args=${queryPart(JSON.stringify(sealed.args))}${sealed.query}`
    const input = body instanceof FanBody ? body.pieces : body === null ? null : readable(body)
    const response = await this.#open(url, 'POST', path, { authorization: this.#deps.identity.authorization('POST', path), ...sealed.headers, ...lengthOf(args, input) }, input)
    return await replicaAnswer(response, op)
  }

  #open(origin: string, method: string, path: string, headers: http.OutgoingHttpHeaders, body: Readable | Pieces | null): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { protocol, hostname, port } = new URL(origin)
      const secure = protocol === 'https:'
      const request = (secure ? https : http).request({ protocol, hostname, port, method, path, headers, agent: this.#agents[secure ? 'https:' : 'http:'] })
      request.setTimeout(STREAM_IDLE_MS, () => request.destroy(new Error('no byte for too long')))
      const connecting = setTimeout(() => request.destroy(new Error(`no connection in ${PEER_CONNECT_MS} ms`)), PEER_CONNECT_MS)
      request.on('socket', (socket) => (socket.connecting ? socket.once('connect', () => clearTimeout(connecting)) : clearTimeout(connecting)))
      request.on('response', resolve)
      request.on('error', (error) => {
        clearTimeout(connecting)
        reject(error)
      })
      // A body that breaks off says nothing of the other door.
      if (body instanceof Readable) body.once('error', (error) => reject(isFault(error) ? error : new Fault('client_closed', 'the body broke off', { cause: error })))
      if (body === null) request.end()
      else (body instanceof Pieces ? sendPieces(body, request) : pipeline(body, request)).catch((error: unknown) => request.destroy(error as Error))
    })
  }

  #isAway(id: string): boolean {
    return (this.#away.get(id) ?? 0) > this.#deps.presence.now_ms()
  }

  async #connected(id: string): Promise<boolean> {
    const { identity, presence } = this.#deps
    if (id === identity.host_id) return true
    const url = presence.host(id)?.door_url ?? null
    const byPlane = () => presence.online && presence.host(id)?.up === true
    if (url === null || this.#isAway(id)) return byPlane()
    try {
      const response = await this.#open(url, 'GET', '/door/v1/health', {}, null)
      response.resume()
      return response.statusCode === 200
    } catch {
      this.#away.set(id, presence.now_ms() + PEER_AVOIDED_MS)
      return byPlane()
    }
  }
}

/** One replica on this host's own disks. */
export async function onDisk(driver: ObjectDriver, op: ObjectOp, args: ObjectArgs, body: AsyncIterable<Uint8Array> | null, intake?: Intake): Promise<Answer> {
  switch (op) {
    case 'object.put':
      return { value: await driver.put(args, body ?? nothing(), intake), body: null }
    case 'object.head':
      return { value: await driver.head(args), body: null }
    case 'object.post':
      return { value: await driver.post(args), body: null }
    case 'object.delete':
      return { value: await driver.delete(args), body: null }
    case 'object.fragments':
      return { value: await driver.fragments(args), body: null }
    case 'object.commit':
      return { value: await driver.commit(args), body: null }
    case 'object.doubt':
      return { value: await driver.doubt(args), body: null }
    case 'object.get': {
      const { head, body: bytes } = await driver.get(args)
      return { value: head, body: bytes }
    }
    default:
      return op satisfies never
  }
}

/** The plane knows them better. */
const withoutKeys = ({ sealing, ...args }: ObjectArgs): ObjectArgs => ({ ...args, ...(sealing === undefined ? {} : { sealing: { seal: sealing.seal, keys: [] } }) })

const headIn = (one: FoundHere | undefined): ObjectHead | null => (one !== undefined && 'head' in one ? one.head : null)

async function* goingOn(body: AsyncIterable<Uint8Array>, rest: (sent: number) => Promise<Body | null>): AsyncGenerator<Uint8Array> {
  let sent = 0
  try {
    for await (const chunk of body) {
      sent += chunk.length
      yield chunk
    }
  } catch (error) {
    const other = await rest(sent)
    if (other === null) throw error
    yield* readerOf(other)
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

const readable = (body: Body): Readable => Readable.fromWeb(body as unknown as NodeStream)

/** A piece is given back once the socket has taken it. */
async function sendPieces(pieces: Pieces, request: http.ClientRequest): Promise<void> {
  for await (const piece of pieces) await new Promise<void>((resolve, reject) => request.write(piece, (error) => (error ? reject(error) : resolve())))
  if (pieces.isCut) throw new Error('the other door answered before it had the body')
  request.end()
}

/** The stream's chunks; whoever stops early cancels it. */
const chunksOf = (body: Body): AsyncIterable<Uint8Array> => (body instanceof FanBody ? body.pieces : readerOf(body))

async function* readerOf(body: Body): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  let done = false
  try {
    for (;;) {
      const next = await reader.read()
      done = next.done
      if (next.done) return
      yield next.value
    }
  } finally {
    if (!done) await reader.cancel().catch(() => {})
  }
}

/** Pulled as it is read; cancelling frees the file. */
export function streamFrom(body: AsyncIterable<Uint8Array>): Body {
  const iterator = body[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await iterator.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await iterator.return?.()
      },
    },
    { highWaterMark: 0 },
  ) as Body
}
