/**
 * CPU, rate and latency of object PUT and GET, several stores beside each other in one run: `node bench/object.ts --target NAME=URL,TOKEN,PIDS ...`, where URL is an account's
 * (http://127.0.0.1:8788/object-store/v1/AUTH_x), PIDS are `+`-joined ids of the processes that count (their children count too). Stores take turns round by round, so
 * that a busy machine is busy for all of them. Prints one line per store and scenario (the CPU of each of few processes in brackets), and the machine's load; asserts nothing.
 *
 *   --seconds S    per round of small objects (3; 0: none)     --rounds N (3)     --concurrency 1,16     --large MIB (100; 0: none)
 */
import { randomBytes } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import http from 'node:http'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'

const TICKS_PER_S = 100
/** More processes than this are shown as one sum. */
const SHARES_MAX = 3
const CONTAINER = 'bench'
/** Requests of each kind before any is counted: what has just started compiles its code first. */
const WARM_UP = 600
/** Objects that are read, in turn. */
const READ_FROM = 64

interface Target {
  name: string
  url: URL
  token: string
  pids: number[]
}

interface Sample {
  operations: number
  seconds: number
  /** Of each of the target's processes, in their order. */
  cpu_ms: number[]
  latencies: number[]
}

const { values } = parseArgs({ options: { target: { type: 'string', multiple: true }, seconds: { type: 'string' }, rounds: { type: 'string' }, concurrency: { type: 'string' }, large: { type: 'string' } } })
const targets: Target[] = (values.target ?? []).map((text) => {
  const match = /^([^=]+)=([^,]+),([^,]*),([\d+]+)$/.exec(text)
  if (match === null) throw new Error(`--target takes NAME=URL,TOKEN,PID+PID, not '${text}'`)
  return { name: match[1] ?? '', url: new URL(match[2] ?? ''), token: match[3] ?? '', pids: (match[4] ?? '').split('+').map(Number) }
})
const seconds = Number(values.seconds ?? 3)
const rounds = Number(values.rounds ?? 3)
const large_mib = Number(values.large ?? 100)
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })

/** CPU of each of the processes and its descendants, in ms; a descendant that is named itself counts for itself. */
function cpuOf(pids: number[]): number[] {
  const stats = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const text = readFileSync(`/proc/${name}/stat`, 'utf8')
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
      return [{ pid: Number(name), parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) }]
    } catch {
      return []
    }
  })
  const owner = new Map(pids.map((pid) => [pid, pid]))
  for (let before = -1; before !== owner.size; ) {
    before = owner.size
    for (const { pid, parent } of stats) {
      const its = owner.get(parent)
      if (its !== undefined && !owner.has(pid)) owner.set(pid, its)
    }
  }
  return pids.map((root) => (stats.filter(({ pid }) => owner.get(pid) === root).reduce((sum, { ticks }) => sum + ticks, 0) * 1000) / TICKS_PER_S)
}

function call({ url, token }: Target, method: string, path: string, body?: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers: Record<string, string> = { 'x-auth-token': token, ...(body === undefined ? {} : { 'content-length': String(body.byteLength), 'content-type': 'application/octet-stream' }) }
    const request = http.request({ host: url.hostname, port: url.port, method, path: `${url.pathname}${path}`, headers, agent }, (response) => {
      response.on('error', reject)
      response.on('end', () => resolve(response.statusCode ?? 0))
      response.resume()
    })
    request.on('error', reject)
    request.end(body)
  })
}

let serial = 0
const run = Date.now().toString(36)

async function measure(target: Target, work: (n: number) => Promise<number>, concurrency: number, until: (done: number, seconds: number) => boolean): Promise<Sample> {
  const latencies: number[] = []
  const started = performance.now()
  const before = cpuOf(target.pids)
  let begun = 0
  const worker = async () => {
    while (!until(begun, (performance.now() - started) / 1000)) {
      const at = performance.now()
      const status = await work(begun++)
      if (status >= 300) throw new Error(`${target.name} answered ${status}`)
      latencies.push(performance.now() - at)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  const after = cpuOf(target.pids)
  return { operations: latencies.length, seconds: (performance.now() - started) / 1000, cpu_ms: after.map((ms, n) => ms - (before[n] ?? 0)), latencies }
}

const added = (a: Sample | undefined, b: Sample): Sample => (a === undefined ? b : { operations: a.operations + b.operations, seconds: a.seconds + b.seconds, cpu_ms: a.cpu_ms.map((ms, n) => ms + (b.cpu_ms[n] ?? 0)), latencies: [...a.latencies, ...b.latencies] })

function show(scenario: string, samples: Map<Target, Sample>, mib: number): void {
  for (const [{ name }, { operations, seconds: took, cpu_ms, latencies }] of samples) {
    const sorted = [...latencies].sort((a, b) => a - b)
    const at = (share: number) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)
    const rate = mib === 0 ? '' : `  ${((operations * mib) / took).toFixed(0)} MiB/s`
    const total = cpu_ms.reduce((sum, ms) => sum + ms, 0)
    const shares = cpu_ms.length > SHARES_MAX ? '' : ` (${cpu_ms.map((ms) => (ms / operations).toFixed(2)).join(' + ')})`
    console.log(`${scenario.padEnd(20)} ${name.padEnd(8)} ${(total / operations).toFixed(2).padStart(9)} ms CPU${shares}  ${(operations / took).toFixed(1).padStart(7)}/s  p50 ${at(0.5)} ms  p99 ${at(0.99)} ms${rate}  (n=${operations})`)
  }
}

async function scenario(name: string, concurrency: number, mib: number, one: (target: Target, n: number) => Promise<number>, until: (done: number, seconds: number) => boolean): Promise<void> {
  const samples = new Map<Target, Sample>()
  for (let round = 0; round < rounds; round++) for (const target of targets) samples.set(target, added(samples.get(target), await measure(target, (n) => one(target, n), concurrency, until)))
  show(`${name} c=${concurrency}`, samples, mib)
}

console.log(`load before: ${loadavg().map((value) => value.toFixed(1)).join(' ')}`)
const small = randomBytes(1024)
for (const target of targets) {
  await call(target, 'PUT', `/${CONTAINER}`)
  for (let n = 0; n < (seconds === 0 ? 0 : WARM_UP); n++) await call(target, 'PUT', `/${CONTAINER}/${run}-get-${n % READ_FROM}`, small)
  for (let n = 0; n < (seconds === 0 ? 0 : WARM_UP); n++) await call(target, 'GET', `/${CONTAINER}/${run}-get-${n % READ_FROM}`)
}
for (const concurrency of seconds === 0 ? [] : (values.concurrency ?? '1,16').split(',').map(Number)) {
  const timed = (_: number, passed: number) => passed >= seconds
  await scenario('PUT 1 KiB', concurrency, 0, (target) => call(target, 'PUT', `/${CONTAINER}/${run}-${serial++}`, small), timed)
  await scenario('GET 1 KiB', concurrency, 0, (target, n) => call(target, 'GET', `/${CONTAINER}/${run}-get-${n % READ_FROM}`), timed)
}
if (large_mib > 0) {
  const large = randomBytes(large_mib * 1024 * 1024)
  await scenario(`PUT ${large_mib} MiB`, 1, large_mib, (target, n) => call(target, 'PUT', `/${CONTAINER}/${run}-large-${n}`, large), (done) => done >= 1)
  await scenario(`GET ${large_mib} MiB`, 1, large_mib, (target, n) => call(target, 'GET', `/${CONTAINER}/${run}-large-${n}`), (done) => done >= 1)
}
console.log(`load after: ${loadavg().map((value) => value.toFixed(1)).join(' ')}`)
agent.destroy()
