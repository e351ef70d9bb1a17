/**
 * A plane over real sockets with hosts whose disks doors can share: the Worker of this process behind Node's HTTP server (which a test may cut off and bring back), Host
 * objects that call the very drivers that the doors have.
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import http from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type Door, startDoor } from '../../agent/door/index.ts'
import type { ObjectDriver } from '../../agent/drivers/object/driver.ts'
import { createFakeObjectDriver } from '../../agent/drivers/object/fake.ts'
import { type Identity, createIdentity, publicKeyOf } from '../../agent/identity.ts'
import { type Log, silentLog } from '../../agent/log.ts'
import { systemTimers } from '../../agent/timers.ts'
import type { Env } from '../../durable-objects/kernel/env.ts'
import { findOneByOne } from '../../durable-objects/host/find.ts'
import { SkyObject } from '../../durable-objects/kernel/object.ts'
import { DOOR_STATE_EVERY_MS } from '../../schema/agent/door.ts'
import type { FindArgs, ObjectArgs, ObjectHead } from '../../schema/agent/protocol.ts'
import { Fault } from '../../schema/values/fault.ts'
import { systemClock } from '../../schema/values/time.ts'
import * as bundle from '../../workers/index.ts'
import { type TestCloud, mintedCloud } from './cloud.ts'

export const ACCOUNT = 'AUTH_project-a'
export const ROOT = `/object-store/v1/${ACCOUNT}`

export interface SiteHost {
  id: string
  identity: Identity
  driver: ObjectDriver
  /** Its link to the plane is lost. */
  away: boolean
}

export interface Reply {
  status: number
  headers: Record<string, string>
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: bodies are what the test asserts.
  body: any
}

export interface Site {
  cloud: TestCloud
  origin: string
  hosts: SiteHost[]
  folder: string
  cut(): Promise<void>
  restore(): Promise<void>
  /** Makes host n a door; the folder is kept between doors of one host, as over a kill. */
  door(n: number, options?: { log?: Log; clock?: { now_ms(): number }; grant?: boolean }): Promise<Door>
  close(): Promise<void>
}

/** One HTTP exchange by Node's own client, which leaves paths as they are. */
export function exchange(port: number, method: string, path: string, options: { headers?: Record<string, string>; body?: string | Uint8Array | Readable; token?: string } = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { body, token } = options
    const headers: Record<string, string> = { ...(token === undefined ? {} : { 'x-auth-token': token }), ...options.headers }
    if (typeof body === 'string' || body instanceof Uint8Array) headers['content-length'] = String(Buffer.byteLength(body))
    const request = http.request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(parts).toString()
        let parsed: unknown = text
        try {
          parsed = JSON.parse(text)
        } catch {}
        resolve({ status: response.statusCode ?? 0, headers: response.headers as Record<string, string>, text, body: parsed })
      })
    })
    request.on('error', reject)
    if (body instanceof Readable) body.pipe(request)
    else request.end(body)
  })
}

function driverHosts(hosts: SiteHost[]) {
  return class DriverHost extends SkyObject {
    constructor(state: DurableObjectState, env: Env) {
      super(state, env, [], {})
    }
    #driver(): ObjectDriver {
      const found = hosts.find((host) => host.id === this.deps.name)
      if (found === undefined || found.away) throw new Fault('unavailable', 'The host cannot be reached.')
      return found.driver
    }
    status() {
      const up = !(hosts.find((host) => host.id === this.deps.name)?.away ?? true)
      return { connected: up, up, seen_ms: 0, version: 0, facts: null }
    }
    objectPut(args: ObjectArgs, body: ReadableStream<Uint8Array>): Promise<ObjectHead> {
      return this.#driver().put(args, body as never)
    }
    objectHead(args: ObjectArgs): Promise<ObjectHead> {
      return this.#driver().head(args)
    }
    objectsFind(args: FindArgs) {
      return findOneByOne(this as never, args)
    }
    async objectGet(args: ObjectArgs) {
      const { head, body } = await this.#driver().get(args)
      return { head, body: Readable.toWeb(Readable.from(body, { objectMode: false })) }
    }
    objectPost(args: ObjectArgs): Promise<ObjectHead> {
      return this.#driver().post(args)
    }
    objectFragments(args: ObjectArgs) {
      return this.#driver().fragments(args)
    }
    objectCommit(args: ObjectArgs) {
      return this.#driver().commit(args)
    }
    objectDoubt(args: ObjectArgs) {
      return this.#driver().doubt(args)
    }
    objectDelete(args: ObjectArgs) {
      return this.#driver().delete(args)
    }
  }
}

/** The Worker behind a socket. */
function serve(env: Env): http.Server {
  return http.createServer((message, response) => {
    const headers = new Headers()
    for (const [name, value] of Object.entries(message.headers)) if (value !== undefined && name !== 'connection') headers.set(name, String(value))
    const hasBody = !['GET', 'HEAD'].includes(message.method ?? 'GET') && (message.headers['content-length'] !== undefined || message.headers['transfer-encoding'] !== undefined)
    const request = new Request(`http://${message.headers.host}${message.url}`, { method: message.method ?? 'GET', headers, ...(hasBody ? { body: Readable.toWeb(message), duplex: 'half' } : {}) } as RequestInit)
    bundle.default.fetch(request as never, env, { waitUntil: () => {} }).then(
      (answer) => {
        response.writeHead(answer.status, Object.fromEntries(answer.headers))
        if (answer.body === null) response.end()
        else Readable.fromWeb(answer.body as never).on('error', () => response.destroy()).pipe(response)
      },
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
}

/** Every test of doors once more, with all that is written encrypted. */
export const ENCRYPTED = process.env.SKYHOOK_TEST_ENCRYPTED === '1'

export async function site(count: number, options: { encrypted?: boolean; policies?: readonly object[]; s3?: object; devices?: readonly string[]; driver?: (host: number) => ObjectDriver } = {}): Promise<Site> {
  const devices = options.devices ?? ['d1']
  const hosts: SiteHost[] = Array.from({ length: count }, (_, n) => {
    const key = generateKeyPairSync('ed25519').privateKey
    const id = randomUUID()
    return { id, identity: Object.assign(createIdentity(id, key, systemClock), { public_key: publicKeyOf(key) }), driver: options.driver?.(n) ?? createFakeObjectDriver({ devices }), away: false }
  })
  const vars: Record<string, string> = options.encrypted === true || ENCRYPTED ? { OPTIONS: JSON.stringify({ swift: { encryption: true } }), OBJECT_KEYS: Buffer.alloc(32, 7).toString('base64url') } : {}
  if (options.policies !== undefined) vars.OPTIONS = JSON.stringify({ swift: { storage_policies: options.policies, encryption: vars.OPTIONS !== undefined } })
  if (options.s3 !== undefined) vars.OPTIONS = JSON.stringify({ ...JSON.parse(vars.OPTIONS ?? '{}'), s3: options.s3 })
  const cloud = await mintedCloud({ classes: { HOST: driverHosts(hosts) as never }, vars })
  const region = cloud.cluster.instance('REGION', 'region')
  hosts.forEach(({ id, identity }, n) => {
    const facts = { roles: ['object'], object_devices: devices.map((name) => ({ name, total_bytes: 100 * 1024 ** 3, free_bytes: 1 })) }
    region.deps.storage.sql.exec('INSERT INTO hosts (id, name, public_key, joined_ms, facts, up) VALUES (?, ?, ?, 0, ?, 1)', id, `host-${n}`, (identity as unknown as { public_key: string }).public_key, JSON.stringify(facts))
  })
  await cloud.env.RING.getByName('0').refresh()
  const folder = mkdtempSync(join(tmpdir(), 'skyhook-door-'))
  const server = serve(cloud.env)
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await listen(0)
  const { port } = server.address() as { port: number }
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  const doors: Door[] = []
  return {
    cloud, hosts, folder, origin: `http://127.0.0.1:${port}`,
    cut: close,
    restore: async () => {
      if (!server.listening) await listen(port)
    },
    async door(n, { log = silentLog, clock = systemClock, grant = true } = {}) {
      const host = hosts[n] as SiteHost
      const door = await startDoor({ plane: `http://127.0.0.1:${port}`, identity: host.identity, driver: host.driver, folder: join(folder, String(n)), address: '127.0.0.1', port: 0, clock, timers: systemTimers, log })
      doors.push(door)
      if (grant) {
        region.deps.storage.sql.exec('UPDATE hosts SET door_url = ? WHERE id = ?', `http://127.0.0.1:${door.port}`, host.id)
        // What the plane knows of doors may be two seconds old.
        for (let tries = 0; tries < 50 && server.listening && !door.status().online; tries++) {
          await new Promise((resolve) => setTimeout(resolve, 100))
          await door.poll()
        }
      }
      return door
    },
    async close() {
      for (const door of doors) await door.stop().catch(() => {})
      if (server.listening) await close()
      cloud.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The first hosts of a site as doors that know each other: each hears of the others with its next state. Answers the first one. */
export async function doorsOf(place: Site, count: number): Promise<Door> {
  const first = await place.door(0)
  for (let n = 1; n < count; n++) await place.door(n)
  await new Promise((resolve) => setTimeout(resolve, DOOR_STATE_EVERY_MS + 100))
  await first.poll()
  return first
}
