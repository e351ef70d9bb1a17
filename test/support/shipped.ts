/** The shipped single-machine mode, as a user starts it, in a home of its own: for tests over HTTP and with real clients. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Api } from '../../bin/lib/api.ts'
import { type RunState, homeOf, readState, secretsOf } from '../../bin/lib/home.ts'

const ROOT = join(import.meta.dirname, '../..')

export async function freePort(): Promise<number> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

export interface Shipped {
  url: string
  home: string
  api: Api
  password: string
  env: NodeJS.ProcessEnv
  state(): RunState
  /** `npm run ...`-like: the CLI with this home. */
  cli(args: string[], env?: Record<string, string>): SpawnSyncReturns<string>
  start(args?: string[]): SpawnSyncReturns<string>
  stop(options?: { guests?: boolean }): void
  /** Raw HTTP with a token of the admin, or without. */
  call(method: string, path: string, options?: { token?: string | null; json?: unknown; body?: BodyInit; headers?: Record<string, string> }): Promise<{ status: number; headers: Headers; text: string; body: unknown }>
  /** Waits until `look` gives something true. */
  until<T>(what: string, look: () => Promise<T | null | undefined | false>, timeout_ms?: number): Promise<T>
  remove(): void
}

export async function shipped(hosts: string, env: Record<string, string> = {}): Promise<Shipped> {
  const home = mkdtempSync(join(tmpdir(), 'skyhook-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const all = { ...process.env, SKYHOOK_CACHE: join(ROOT, '.skyhook/test-cache'), ...env, SKYHOOK_HOME: home }
  const cli = (args: string[], more: Record<string, string> = {}) => spawnSync('node', [join(ROOT, 'bin/skyhook.mjs'), ...args], { env: { ...all, ...more }, encoding: 'utf8', cwd: ROOT, timeout: 240_000 })
  const start = (args: string[] = []) => cli(['start', '--detach', '--hosts', hosts, '--listen', `127.0.0.1:${port}`, ...args])
  const first = start()
  if (first.status !== 0) throw new Error(`start failed (${first.status}): ${first.stdout}${first.stderr}`)
  const password = secretsOf(homeOf(all)).admin_password
  const cloud: Shipped = {
    url, home, password, api: new Api(url, password), env: { ...all, OS_CLIENT_CONFIG_FILE: join(home, 'clouds.yaml'), OS_CLOUD: 'skyhook', PYTHONWARNINGS: 'ignore' },
    state: () => readState(homeOf(all)) as RunState,
    cli, start,
    stop: (options = {}) => {
      const done = cli(['stop', ...(options.guests ? ['--guests'] : [])])
      if (done.status !== 0) throw new Error(`stop failed: ${done.stderr}`)
    },
    call: async (method, path, options = {}) => {
      const headers = new Headers(options.headers)
      if (options.token) headers.set('x-auth-token', options.token)
      if (options.json !== undefined) headers.set('content-type', 'application/json')
      const ask = () => fetch(`${url}${path}`, { method, headers, body: options.json === undefined ? options.body : JSON.stringify(options.json), ...(options.body instanceof ReadableStream ? { duplex: 'half' } : {}) } as RequestInit)
      const response = await ask().catch((error: unknown) => {
        if (method !== 'GET') throw error
        return ask()
      })
      const text = await response.text()
      let body: unknown
      try {
        body = JSON.parse(text)
      } catch {
        body = text
      }
      return { status: response.status, headers: response.headers as unknown as Headers, text, body }
    },
    until: async (what, look, timeout_ms = 60_000) => {
      const end = Date.now() + timeout_ms
      let last: unknown
      while (Date.now() < end) {
        try {
          const found = await look()
          if (found) return found
        } catch (error) {
          last = error
        }
        await new Promise((resolve) => setTimeout(resolve, 200))
      }
      throw new Error(`waited ${timeout_ms} ms for: ${what}${last === undefined ? '' : ` (${String(last)})`}`)
    },
    remove: () => {
      cli(['stop', ...(hosts.includes('local') ? ['--guests'] : [])])
      rmSync(home, { recursive: true, force: true })
    },
  }
  return cloud
}

export const readLog = (cloud: Shipped, name: string): string => readFileSync(join(cloud.home, 'logs', `${name}.log`), 'utf8')
