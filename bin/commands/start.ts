/** `skyhook start`: checks what is needed, then runs the supervisor: in the foreground, or detached until the cloud answers. */
import { spawn } from 'node:child_process'
import { openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Home, ROOT, homeOf, makeHome, readState, runningSupervisor, secretsOf } from '../lib/home.ts'
import { type StartOptions, parseStart } from '../lib/options.ts'
import { installPackages } from '../lib/packages.ts'
import { Problem } from '../lib/problem.ts'
import { printReady } from '../lib/report.ts'
import { supervise } from './supervise.ts'

export const DETACH_TIMEOUT_MS = 180_000

const say = (text: string) => console.log(`skyhook: ${text}`)

export async function run(args: string[]): Promise<number> {
  const options = parseStart(args)
  const home = homeOf()
  if (options.hosts.local && process.getuid?.() !== 0) {
    throw new Problem('a real host needs root (QEMU, Open vSwitch, taps). Run it as root, or try the APIs with simulated hosts: npm start -- --hosts sim:3')
  }
  const running = runningSupervisor(home)
  if (running !== null) {
    say(`is running already (pid ${running.pid}).`)
    await printReady(home, running)
    return 0
  }
  if (options.hosts.local) installPackages(say)
  await checkPort(options)
  makeHome(home)
  secretsOf(home)
  rmSync(home.state, { force: true })
  if (!options.detach) return await supervise(home, options, say)
  return await detach(home, args, say)
}

/** A port in use is said before anything is started. */
function checkPort({ address, port }: StartOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is in use by another program' : error.code === 'EACCES' ? 'needs more rights' : `cannot be listened on (${error.code})`
      reject(new Problem(`${address}:${port} ${why}. Choose another one: npm start -- --listen 127.0.0.1:8788`))
    })
    server.listen(port, address.replace(/^\[|\]$/g, ''), () => server.close(() => resolve()))
  })
}

async function detach(home: Home, args: string[], say: (text: string) => void): Promise<number> {
  const log = join(home.logs, 'supervisor.log')
  const fd = openSync(log, 'a', 0o600)
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'bin/main.ts'), 'supervise', ...args.filter((arg) => arg !== '--detach')], { detached: true, stdio: ['ignore', fd, fd], cwd: ROOT })
  child.unref()
  let ended: number | null = null
  child.on('exit', (code) => (ended = code ?? 1))
  const end = Date.now() + DETACH_TIMEOUT_MS
  let shown = ''
  while (Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    const state = readState(home)
    if (state?.phase === 'up') {
      await printReady(home, state)
      return 0
    }
    if (state !== null && state.phase !== shown) {
      shown = state.phase
      say(`${state.phase} at ${state.url} ...`)
    }
    if (ended !== null || state?.phase === 'failed') throw new Problem(`the cloud did not start: ${state?.problem ?? tail(log)}`)
  }
  throw new Problem(`the cloud did not answer within ${DETACH_TIMEOUT_MS / 1000} s; see ${home.logs}.`)
}

const tail = (path: string) => readFileSync(path, 'utf8').trim().split('\n').slice(-5).join('\n')
