/** Real object hosts: a shipped plane without hosts of its own, and agents as processes with only the object role, each with an XFS on a loop device. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ObjectRecon } from '../../schema/agent/replication.ts'
import { type Shipped, shipped } from '../support/shipped.ts'

const ROOT = join(import.meta.dirname, '../..')
const DISK_BYTES = 320 * 1024 * 1024
export const DEVICE = 'd1'

/** Why a probe can't run here; false where it can. */
export function cannotProbe(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  if (spawnSync('sh', ['-c', 'command -v mkfs.xfs']).status !== 0) return 'needs xfsprogs'
  return spawnSync('losetup', ['-f']).status === 0 ? false : 'no free loop device'
}

/** A file of an object as it lies on one host. */
export interface Lying {
  host: number
  hash: string
  file: string
  path: string
}

export class ProbeHost {
  readonly n: number
  readonly dir: string
  readonly devices: string
  #image: string
  #process: ChildProcess | null = null
  #argv: string[]
  #env: Record<string, string>

  constructor(n: number, root: string, url: string, token: string, env: Record<string, string>) {
    this.n = n
    this.dir = join(root, `h${n}`)
    this.devices = join(this.dir, 'devices')
    this.#image = join(this.dir, 'disk')
    this.#argv = ['--disable-warning=ExperimentalWarning', join(ROOT, 'agent/main.ts'), '--plane', url, '--state', join(this.dir, 'state'), '--roles', 'object', '--name', `h${n}`, '--objects', this.devices]
    this.#env = { SKYHOOK_JOIN_TOKEN: token, ...env }
    mkdirSync(join(this.devices, DEVICE), { recursive: true })
    writeFileSync(this.#image, '')
    truncateSync(this.#image, DISK_BYTES)
    execFileSync('mkfs.xfs', ['-q', this.#image])
    this.mount()
  }

  mount(): void {
    execFileSync('mount', ['-o', 'loop', this.#image, join(this.devices, DEVICE)])
  }

  /** An empty disk comes in the place of the one that was unmounted. */
  replace(): void {
    truncateSync(this.#image, 0)
    truncateSync(this.#image, DISK_BYTES)
    execFileSync('mkfs.xfs', ['-q', '-f', this.#image])
    this.mount()
  }

  /** Lazily: files that are open stay open, the name is gone. */
  unmount(): void {
    execFileSync('umount', ['-l', join(this.devices, DEVICE)])
  }

  start(): void {
    const log = openSync(join(this.dir, 'agent.log'), 'a')
    this.#process = spawn(process.execPath, this.#argv, { cwd: ROOT, stdio: ['ignore', log, log], env: { ...process.env, ...this.#env } })
    closeSync(log)
  }

  async kill(): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child === null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  log(): string {
    return readFileSync(join(this.dir, 'agent.log'), 'utf8')
  }

  /** Versions of objects on this disk. */
  lying(): Lying[] {
    const found: Lying[] = []
    const walk = (path: string, depth: number): void => {
      for (const name of readdirSync(path)) {
        const at = join(path, name)
        if (depth < 3 && statSync(at).isDirectory()) walk(at, depth + 1)
        else if (depth === 3 && /\.(data|meta|ts)$/.test(name)) found.push({ host: this.n, hash: path.split('/').at(-1) ?? '', file: name, path: at })
      }
    }
    const root = join(this.devices, DEVICE, 'objects')
    try {
      walk(root, 0)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    return found
  }

  /** Whether the disk, as it is, has this anywhere: in files, attributes, or what was removed. */
  holds(text: string): boolean {
    execFileSync('sync', ['-f', join(this.devices, DEVICE)])
    return spawnSync('grep', ['-q', '-a', '-F', text, this.#image]).status === 0
  }

  async end(): Promise<void> {
    await this.kill()
    for (let n = 0; n < 3; n++) spawnSync('umount', ['-l', join(this.devices, DEVICE)], { stdio: 'ignore' })
  }
}

export class ProbeLab {
  readonly cloud: Shipped
  readonly hosts: ProbeHost[] = []
  #root: string
  #token = ''
  #base = ''

  private constructor(cloud: Shipped, root: string) {
    this.cloud = cloud
    this.#root = root
  }

  /** `env`: of single hosts, by number. `swift`: settings of the object store. */
  static async start(count: number, env: Record<number, Record<string, string>> = {}, swift: object = {}): Promise<ProbeLab> {
    const quiet = { replicator_interval_s: 3_600, reconstructor_interval_s: 3_600, auditor_interval_s: 3_600, updater_interval_s: 3_600 }
    const cloud = await shipped('none', { SKYHOOK_OPTIONS: JSON.stringify({ swift: { object_services: quiet, ...swift } }) })
    const lab = new ProbeLab(cloud, mkdtempSync(join(tmpdir(), 'probe-')))
    try {
      const { join_token } = await cloud.api.call('POST', '/agents/v1/join-tokens', { uses: count })
      for (let n = 0; n < count; n++) lab.hosts.push(new ProbeHost(n, lab.#root, cloud.url, join_token.token, env[n] ?? {}))
      for (const host of lab.hosts) host.start()
      await cloud.until('all devices in the ring', async () => (await lab.ring()).devices.filter((device) => device.host_up).length === count)
      await lab.#login()
    } catch (error) {
      console.error(lab.hosts.map((host) => `h${host.n}: ${host.log().slice(-2_000)}`).join('\n'))
      await lab.end()
      throw error
    }
    return lab
  }

  async #login(): Promise<void> {
    const { api } = this.cloud
    await api.login()
    this.#base = `/object-store/v1/AUTH_${api.projectId}`
    const identity = { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password: this.cloud.password } } }
    const answer = await fetch(`${this.cloud.url}/identity/v3/auth/tokens`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ auth: { identity, scope: { project: { id: api.projectId } } } }) })
    this.#token = answer.headers.get('x-subject-token') ?? ''
    await this.swift('PUT', '/c')
  }

  async swift(method: string, path: string, options: { body?: BodyInit; headers?: Record<string, string> } = {}) {
    return await this.cloud.call(method, `${this.#base}${path}`, { token: this.#token, ...options })
  }

  /** The plane stops, its root secrets are changed, and it starts again. */
  async setRoots(change: (roots: readonly string[]) => string[]): Promise<void> {
    const path = join(this.cloud.home, 'secrets.json')
    this.cloud.stop()
    const secrets = JSON.parse(readFileSync(path, 'utf8')) as { object_keys: string }
    writeFileSync(path, JSON.stringify({ ...secrets, object_keys: change(secrets.object_keys.split(',')).join(',') }))
    const started = this.cloud.start()
    if (started.status !== 0) throw new Error(`start failed: ${started.stderr}`)
    for (const host of this.hosts) await this.connected(host.n, true)
    await this.#login()
  }

  async bytes(path: string): Promise<Uint8Array> {
    const answer = await fetch(`${this.cloud.url}${this.#base}${path}`, { headers: { 'x-auth-token': this.#token } })
    return new Uint8Array(await answer.arrayBuffer())
  }

  async ring(): Promise<{ moving: number; devices: { host_name: string; host_up: boolean; parts: number; recon: ObjectRecon['devices'][number] | null }[] }> {
    return (await this.cloud.api.call('GET', '/agents/v1/rings/0')).ring
  }

  async run(...services: string[]): Promise<{ host: string; error: string | null; recon: ObjectRecon | null }[]> {
    return (await this.cloud.api.call('POST', '/agents/v1/object-services/run', services.length === 0 ? {} : { services })).hosts
  }

  /** Waits until the plane has the host's link, or lost it. */
  async connected(n: number, up: boolean): Promise<void> {
    await this.cloud.until(`h${n} ${up ? 'up' : 'down'}`, async () => {
      const { hosts } = await this.run('updater')
        .then((told) => ({ hosts: told }))
        .catch(() => ({ hosts: [] }))
      const told = hosts.find((one) => one.host === `h${n}`)
      return up ? told !== undefined && told.error === null : told === undefined || told.error !== null
    })
  }

  lying(): Lying[] {
    return this.hosts.flatMap((host) => host.lying())
  }

  async end(): Promise<void> {
    for (const host of this.hosts) await host.end()
    this.cloud.remove()
    rmSync(this.#root, { recursive: true, force: true })
  }
}
