/** A closed loop of requests over kept connections, and the CPU that a set of processes used meanwhile: the figure that holds on a busy machine. */
import { readFileSync, readdirSync } from 'node:fs'
import { Agent, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

export interface Reply {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
}

function once(method: string, url: string, headers: Record<string, string>, body: string | undefined): Promise<Reply & { reused: boolean }> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)), 'content-type': 'application/json' }
    const outgoing = request(url, { method, headers: { ...headers, ...length }, agent }, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(parts).toString(), reused: outgoing.reusedSocket }))
      answer.on('error', reject)
    })
    outgoing.on('error', (error) => reject(Object.assign(error, { reused: outgoing.reusedSocket })))
    outgoing.end(body)
  })
}

/** A kept connection may be closed just as it is used again: that one request is repeated. */
export async function send(method: string, url: string, headers: Record<string, string>, body?: string): Promise<Reply> {
  try {
    return await once(method, url, headers, body)
  } catch (error) {
    if ((error as { reused?: boolean }).reused !== true) throw error
    return await once(method, url, headers, body)
  }
}

const TICK_MS = 10

/** The processes and all that they started. */
function withChildren(pids: number[]): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // Gone meanwhile.
    }
  }
  const all = new Set(pids)
  for (let grown = true; grown; ) {
    grown = false
    for (const [pid, parent] of parents) {
      if (all.has(parent) && !all.has(pid)) {
        all.add(pid)
        grown = true
      }
    }
  }
  return [...all]
}

/** User and system time of the processes, and of those of their children that have ended. */
export function cpu_ms(pids: number[]): number {
  let ticks = 0
  for (const pid of withChildren(pids)) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ').map(Number)
      ticks += (fields[11] ?? 0) + (fields[12] ?? 0)
    } catch {
      // Gone meanwhile.
    }
  }
  return ticks * TICK_MS
}

/** What was seen while one side was asked. */
export interface Slice {
  times_ms: number[]
  errors: number
  cpu_ms: number
}

export interface Measure {
  count: number
  errors: number
  p50_ms: number
  p99_ms: number
  /** Per request. */
  cpu_ms: number
}

const at = (sorted: number[], part: number) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))] ?? 0

/** Runs `work` at a concurrency for so long, at least `count_min` times. */
export async function slice(pids: number[], concurrency: number, seconds: number, work: () => Promise<void>, count_min: number): Promise<Slice> {
  const seen: Slice = { times_ms: [], errors: 0, cpu_ms: 0 }
  const before = cpu_ms(pids)
  const end = performance.now() + seconds * 1000
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (performance.now() < end || seen.times_ms.length + seen.errors < count_min) {
      const started = performance.now()
      try {
        await work()
        seen.times_ms.push(performance.now() - started)
      } catch (error) {
        if (seen.errors++ === 0) console.error(String(error))
        if (seen.errors > 100) return
      }
    }
  }))
  seen.cpu_ms = cpu_ms(pids) - before
  return seen
}

export function summed(slices: Slice[]): Measure {
  const times = slices.flatMap((each) => each.times_ms).sort((a, b) => a - b)
  const total = (of: (each: Slice) => number) => slices.reduce((sum, each) => sum + of(each), 0)
  return { count: times.length, errors: total((each) => each.errors), p50_ms: at(times, 0.5), p99_ms: at(times, 0.99), cpu_ms: total((each) => each.cpu_ms) / Math.max(1, times.length) }
}

/** One side alone. */
export const measure = async (pids: number[], concurrency: number, seconds: number, work: () => Promise<void>, count_min = 20): Promise<Measure> => summed([await slice(pids, concurrency, seconds, work, count_min)])
