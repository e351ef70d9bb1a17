/**
 * Clients that go away in the middle of transfers with the shipped plane and a real agent (a process of its own, objects in real files): what both processes hold open, and what
 * lies half written, before and after. Used by a test, and at length by bench/object-disconnects.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Shipped, shipped } from './shipped.ts'

const ROOT = join(import.meta.dirname, '../..')
const DEVICE = 'd1'
const SEGMENT_BYTES = 1024 * 1024
const SEGMENTS = 3
const UPLOAD_BYTES = 4 * 1024 * 1024
/** A client that nobody answers gives up; it counts as one that was not served. */
const CLIENT_MS = 30_000
/** What was begun is given up by then: a stalled stream takes a minute (durable-objects/host/link.ts). */
const QUIET_MS = 150_000

export interface Held {
  workerd_fds: number
  workerd_rss_mib: number
  agent_fds: number
  agent_rss_mib: number
  /** Open in the agent. */
  object_files_open: number
  /** Of writes that were not finished. */
  temporary_files: number
}

const rss_mib = (pid: number): number => Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024)
/** What each descriptor is of; one that was closed meanwhile is none. */
const descriptors = (pid: number): string[] => readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
  try {
    return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
  } catch {
    return []
  }
})

type Kind = { request: string; body?: Uint8Array }

export class DisconnectLab {
  readonly cloud: Shipped
  readonly #dir: string
  readonly #agent: ChildProcess
  #kinds: Kind[] = []
  #port = 0
  /** Clients that got an answer before they went, and bytes of it. */
  readonly served = { answers: 0, bytes: 0, uploads: 0, silent: 0 }

  private constructor(cloud: Shipped, dir: string, agent: ChildProcess) {
    this.cloud = cloud
    this.#dir = dir
    this.#agent = agent
  }

  static async start(): Promise<DisconnectLab> {
    const cloud = await shipped('none')
    const dir = mkdtempSync(join(tmpdir(), 'disconnects-'))
    const { join_token } = await cloud.api.call('POST', '/agents/v1/join-tokens', { uses: 1 })
    const log = openSync(join(dir, 'agent.log'), 'a')
    const argv = ['--disable-warning=ExperimentalWarning', join(ROOT, 'agent/main.ts'), '--plane', cloud.url, '--state', join(dir, 'state'), '--roles', 'object', '--name', 'h0']
    const agent = spawn(process.execPath, argv, { cwd: ROOT, stdio: ['ignore', log, log], env: { ...process.env, SKYHOOK_JOIN_TOKEN: join_token.token } })
    closeSync(log)
    const lab = new DisconnectLab(cloud, dir, agent)
    try {
      await cloud.until('the device in the ring', async () => (await cloud.api.call('GET', '/agents/v1/rings/0')).ring.devices.some((device: { host_up: boolean }) => device.host_up))
      await lab.#fill()
    } catch (error) {
      console.error(readFileSync(join(dir, 'agent.log'), 'utf8').slice(-2_000))
      await lab.end()
      throw error
    }
    return lab
  }

  /** A plain object, a static and a dynamic large one, and what clients ask of them. */
  async #fill(): Promise<void> {
    const { cloud } = this
    await cloud.api.login()
    const project = cloud.api.projectId
    const identity = { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password: cloud.password } } }
    const answer = await fetch(`${cloud.url}/identity/v3/auth/tokens`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ auth: { identity, scope: { project: { id: project } } } }) })
    const token = answer.headers.get('x-subject-token') ?? ''
    const base = `/object-store/v1/AUTH_${project}/c`
    const put = async (path: string, body: BodyInit, headers: Record<string, string> = {}) => {
      const { status, text } = await cloud.call('PUT', `${base}${path}`, { token, body, headers })
      if (status > 202) throw new Error(`PUT ${path}: ${status} ${text}`)
    }
    await put('', '')
    for (let n = 0; n < SEGMENTS; n++) await put(`/seg/${n}`, new Uint8Array(SEGMENT_BYTES).fill(n + 1))
    await put('/slo?multipart-manifest=put', JSON.stringify(Array.from({ length: SEGMENTS }, (_, n) => ({ path: `c/seg/${n}` }))))
    await put('/dlo', '', { 'x-object-manifest': 'c/seg/' })
    this.#port = Number(new URL(cloud.url).port)
    const head = (line: string, ...headers: string[]) => `${[`${line} HTTP/1.1`, 'Host: 127.0.0.1', `X-Auth-Token: ${token}`, ...headers].join('\r\n')}\r\n\r\n`
    const half = new Uint8Array(UPLOAD_BYTES / 8)
    const chunk = `${half.length.toString(16)}\r\n`
    this.#kinds = [
      { request: head(`GET ${base}/slo`) }, { request: head(`GET ${base}/seg/0`) }, { request: head(`PUT ${base}/up`, `Content-Length: ${UPLOAD_BYTES}`), body: half },
      { request: head(`GET ${base}/dlo`, `Range: bytes=${SEGMENT_BYTES - 100}-${SEGMENT_BYTES * 2}`) }, { request: head(`GET ${base}/slo`, 'Range: bytes=0-99,1000000-2500000') },
      { request: head(`PUT ${base}/up-chunked`, 'Transfer-Encoding: chunked'), body: Buffer.concat([Buffer.from(chunk), half]) },
    ]
  }

  /** One client that hears a little, or says a little, and goes: by an end or by a reset. */
  once(n: number): Promise<void> {
    const kind = this.#kinds[n % this.#kinds.length]
    if (kind === undefined) return Promise.resolve()
    const wanted = [1, 20_000, 300_000][Math.floor(n / this.#kinds.length) % 3] ?? 1
    return new Promise((resolve) => {
      let heard = 0
      const socket = connect(this.#port, '127.0.0.1')
      const leave = (how: 'answers' | 'uploads' | 'silent') => {
        clearTimeout(late)
        this.served[how]++
        this.served.bytes += heard
        socket.removeAllListeners('data')
        if (n % 2 === 0) socket.resetAndDestroy()
        else socket.destroy()
        resolve()
      }
      const late = setTimeout(() => leave('silent'), CLIENT_MS)
      socket.on('error', () => leave('silent'))
      socket.on('connect', () => {
        socket.write(kind.request)
        if (kind.body !== undefined) socket.write(kind.body, () => setTimeout(() => leave('uploads'), n % 30))
      })
      socket.on('data', (data) => {
        heard += data.length
        if (kind.body === undefined && heard >= wanted) leave('answers')
      })
    })
  }

  async many(from: number, count: number, at_once: number): Promise<void> {
    let next = from
    await Promise.all(Array.from({ length: at_once }, async () => {
      while (next < from + count) await this.once(next++)
    }))
  }

  held(): Held {
    const workerd = this.cloud.state().processes.workerd ?? 0
    const agent = this.#agent.pid ?? 0
    const own = descriptors(agent)
    const objects = join(this.#dir, 'state/objects')
    return {
      workerd_fds: descriptors(workerd).length, workerd_rss_mib: rss_mib(workerd), agent_fds: own.length, agent_rss_mib: rss_mib(agent),
      object_files_open: own.filter((path) => path.startsWith(objects)).length, temporary_files: readdirSync(join(objects, DEVICE, 'tmp')).length,
    }
  }

  /** What is held once nothing changes any more. */
  async quiet(than: Held | null): Promise<Held> {
    const end = Date.now() + QUIET_MS
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      const now = this.held()
      const isQuiet = now.object_files_open === 0 && now.temporary_files === 0 && (than === null || (now.workerd_fds <= than.workerd_fds && now.agent_fds <= than.agent_fds))
      if (isQuiet || Date.now() > end) return now
    }
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#agent.once('exit', resolve))
    if (this.#agent.exitCode === null) {
      this.#agent.kill('SIGKILL')
      await ended
    }
    this.cloud.remove()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}
