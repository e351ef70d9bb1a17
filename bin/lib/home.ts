/** Where the state of a single-machine cloud lives: $SKYHOOK_HOME or .skyhook in the checkout. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export interface Home {
  dir: string
  objects: string
  run: string
  logs: string
  cache: string
  host: string
  clouds: string
  openrc: string
  pid: string
  state: string
}

export function homeOf(env: NodeJS.ProcessEnv = process.env): Home {
  const dir = resolve(env.SKYHOOK_HOME ?? join(ROOT, '.skyhook'))
  const at = (name: string) => join(dir, name)
  return { dir, objects: at('objects'), run: at('run'), logs: at('logs'), cache: resolve(env.SKYHOOK_CACHE ?? at('cache')), host: at('host'), clouds: at('clouds.yaml'), openrc: at('openrc'), pid: at('run/supervisor.pid'), state: at('run/state.json') }
}

export function makeHome(home: Home): void {
  for (const dir of [home.dir, home.objects, home.run, home.logs, home.cache, home.host]) mkdirSync(dir, { recursive: true, mode: 0o700 })
}

/** Atomic and private. */
export function writePrivate(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  chmodSync(`${path}.new`, 0o600)
  renameSync(`${path}.new`, path)
}

export interface Secrets {
  admin_password: string
  /** Seals what Identity keeps: see workers/identity/secrets/vault.ts. Newest first, comma separated. */
  identity_keys: string
  /** Root secrets of encrypted objects: see workers/object/encryption/keymaster.ts. Newest first, comma separated. */
  object_keys: string
}

/** Generated once per home; never a fixed password. */
export function secretsOf(home: Home): Secrets {
  const path = join(home.dir, 'secrets.json')
  const known = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Partial<Secrets>) : {}
  if (known.admin_password !== undefined && known.identity_keys !== undefined && known.object_keys !== undefined) return known as Secrets
  const secrets: Secrets = { admin_password: randomBytes(18).toString('base64url'), identity_keys: randomBytes(32).toString('base64url'), object_keys: randomBytes(32).toString('base64url'), ...known }
  writePrivate(path, `${JSON.stringify(secrets, null, 2)}\n`)
  return secrets
}

/** What the supervisor says of itself; phase 'up' means that the cloud answers and its hosts are up. */
export interface RunState {
  pid: number
  phase: 'starting' | 'up' | 'failed'
  problem?: string
  url: string
  hosts: string[]
  started_ms: number
  answering_ms?: number
  image: 'none' | 'building' | 'ready' | 'failed'
  image_problem?: string
  processes: Record<string, number>
}

export function readState(home: Home): RunState | null {
  try {
    return JSON.parse(readFileSync(home.state, 'utf8')) as RunState
  } catch {
    return null
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The supervisor that runs this home, or null. A pid that was given to another program since does not count. */
export function runningSupervisor(home: Home): RunState | null {
  const state = readState(home)
  if (state === null || !isAlive(state.pid)) return null
  try {
    return readFileSync(`/proc/${state.pid}/cmdline`, 'utf8').includes('supervise') ? state : null
  } catch {
    return null
  }
}
