/** Child processes that must stay up: restarted when they end, with backoff; ended by SIGTERM, then SIGKILL after a grace time (workerd outlives SIGTERM while a socket is open). */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { setPriority } from 'node:os'

export const STOP_GRACE_MS = 3_000
export const RESTART_DELAY_MS = 250
export const RESTART_DELAY_MAX_MS = 10_000
/** A process that ran this long starts anew at once. */
export const STEADY_AFTER_MS = 30_000
/** Of every process of the cloud: a few threads need no allocator of their own each, which would keep what they free. */
export const CHILD_ENV: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1' }

export interface ProcessSpec {
  name: string
  argv: string[]
  log: string
  env?: Record<string, string>
  cwd?: string
  /** Nice value; where we may not set it (below 0 wants root), the system's own stays. */
  priority?: number
}

function prefer(pid: number | undefined, priority: number | undefined): void {
  if (pid === undefined || priority === undefined) return
  try {
    setPriority(pid, priority)
  } catch {}
}

export class KeptProcess {
  #spec: ProcessSpec
  #child: ChildProcess | null = null
  #stopping = false
  #failures = 0
  #say: (text: string) => void
  #changed: () => void

  constructor(spec: ProcessSpec, say: (text: string) => void, changed: () => void) {
    this.#spec = spec
    this.#say = say
    this.#changed = changed
    this.#start()
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get name(): string {
    return this.#spec.name
  }

  #start(): void {
    const [program = '', ...args] = this.#spec.argv
    const started = Date.now()
    const log = openSync(this.#spec.log, 'a', 0o600)
    this.#child = spawn(program, args, { stdio: ['ignore', log, log], cwd: this.#spec.cwd, env: { ...process.env, ...CHILD_ENV, ...this.#spec.env } })
    closeSync(log)
    prefer(this.#child.pid, this.#spec.priority)
    this.#child.on('error', (error) => this.#say(`${this.#spec.name}: ${error.message}`))
    this.#child.on('exit', (code, signal) => {
      this.#child = null
      if (this.#stopping) return
      this.#failures = Date.now() - started > STEADY_AFTER_MS ? 0 : this.#failures + 1
      const delay = this.#failures === 0 ? RESTART_DELAY_MS : Math.min(RESTART_DELAY_MAX_MS, RESTART_DELAY_MS * 2 ** (this.#failures - 1))
      this.#say(`${this.#spec.name} ended (${signal ?? code}); starting it again in ${delay} ms (log: ${this.#spec.log})`)
      setTimeout(() => this.#stopping || this.#start(), delay)
    })
    this.#changed()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    const child = this.#child
    if (child === null) return
    await new Promise<void>((resolve) => {
      const kill = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS)
      child.on('exit', () => {
        clearTimeout(kill)
        resolve()
      })
      child.kill('SIGTERM')
    })
  }
}
