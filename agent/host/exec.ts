/** The only file that spawns. Everything that runs a program takes an Exec, so tests can pass their own. argv only, never a shell. */
import { spawn } from 'node:child_process'

export interface ExecResult {
  stdout: string
  stderr: string
}

export interface ExecOptions {
  input?: string | Uint8Array
  timeout_ms?: number
  env?: Record<string, string>
  cwd?: string
}

export class ExecError extends Error {
  code: number | null
  stderr: string
  stdout: string
  constructor(argv: readonly string[], code: number | null, stdout: string, stderr: string) {
    super(`${argv[0]} ${argv[1] ?? ''} failed (${code ?? 'killed'}): ${stderr.trim().split('\n').slice(-3).join(' | ').slice(0, 500)}`)
    this.name = 'ExecError'
    this.code = code
    this.stderr = stderr
    this.stdout = stdout
  }
}

/** Runs argv to its end; throws ExecError where it fails. */
export type Exec = (argv: readonly string[], options?: ExecOptions) => Promise<ExecResult>

export const EXEC_TIMEOUT_MS = 60_000

export const exec: Exec = (argv, options = {}) =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv
    if (program === undefined) return reject(new Error('exec: empty argv'))
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], cwd: options.cwd, env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', ...options.env } })
    const out: Buffer[] = []
    const err: Buffer[] = []
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeout_ms ?? EXEC_TIMEOUT_MS)
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      const stdout = Buffer.concat(out).toString()
      const stderr = Buffer.concat(err).toString()
      if (code === 0) resolve({ stdout, stderr })
      else reject(new ExecError(argv, code, stdout, stderr))
    })
    child.stdin.on('error', () => {})
    child.stdin.end(options.input ?? '')
  })

/** Starts a program that outlives the agent: its own session, output to a file descriptor. */
export function spawnDetached(argv: readonly string[], options: { stdout_fd: number; cwd?: string; env?: Record<string, string> }): number {
  const [program, ...args] = argv
  if (program === undefined) throw new Error('spawnDetached: empty argv')
  const child = spawn(program, args, { detached: true, stdio: ['ignore', options.stdout_fd, options.stdout_fd], cwd: options.cwd, env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', ...options.env } })
  child.unref()
  if (child.pid === undefined) throw new Error(`could not start ${program}`)
  return child.pid
}
