/**
 * What encryption at rest costs: CPU of one process that is plane, door and three replicas on files (fsync and all), with encryption off and on in turns, so that other load
 * weighs on both alike. Large bodies come from and go to curl, whose CPU does not count. No root needed.
 *
 *   node bench/object-encryption.ts [rounds] [folder]
 */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createXfsObjectDriver } from '../agent/drivers/object/xfs/index.ts'
import { ROOT, exchange, site } from '../test/support/door.ts'

const ROUNDS = Number(process.argv[2] ?? 5)
const DEVICES = ['d1', 'd2', 'd3']
const SMALL = { bytes: 1024, times: 200 }
const LARGE = { bytes: 100 * 1024 * 1024, times: 1 }
/** Between the setting and the door's knowing it. */
const TOLD_MS = 2_500

const folder = mkdtempSync(join(process.argv[3] ?? tmpdir(), 'skyhook-bench-encryption-'))
const devices_dir = join(folder, 'devices')
for (const name of DEVICES) mkdirSync(join(devices_dir, name), { recursive: true })
const place = await site(1, { encrypted: true, devices: DEVICES, driver: () => createXfsObjectDriver({ devices_dir }) })
const door = await place.door(0)
const token = await place.cloud.token({ role: 'member' })
const swift = (method: string, path: string, body?: Uint8Array) => exchange(door.port, method, `${ROOT}${path}`, { token, ...(body === undefined ? {} : { body }) })
await swift('PUT', '/c')
const source = join(folder, 'source')
writeFileSync(source, new Uint8Array(LARGE.bytes).fill(65))

/** The status that curl got. */
async function curl(method: 'PUT' | 'GET', path: string): Promise<{ status: number; text: string }> {
  const sent = method === 'PUT' ? ['-T', source] : []
  const { stdout } = await promisify(execFile)('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', `X-Auth-Token: ${token}`, ...sent, `http://127.0.0.1:${door.port}${ROOT}${path}`])
  return { status: Number(stdout), text: '' }
}

/** Milliseconds of CPU per request. */
async function cpu(method: 'PUT' | 'GET', { bytes, times }: typeof SMALL): Promise<number> {
  const body = method === 'PUT' && bytes === SMALL.bytes ? new Uint8Array(bytes).fill(65) : undefined
  const before = process.cpuUsage()
  for (let n = 0; n < times; n++) {
    const answer = bytes === LARGE.bytes ? await curl(method, `/c/o${bytes}-${n}`) : await swift(method, `/c/o${bytes}-${n}`, body)
    if (answer.status >= 300) throw new Error(`${method} was answered with ${answer.status}: ${answer.text}`)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000 / times
}

const figures: Record<string, { off: number[]; on: number[] }> = {}
for (let round = 0; round <= ROUNDS; round++) {
  for (const mode of ['off', 'on'] as const) {
    place.cloud.env.OPTIONS = JSON.stringify({ swift: { encryption: mode === 'on' } })
    await new Promise((resolve) => setTimeout(resolve, TOLD_MS))
    await door.poll()
    for (const [name, size] of [['1 KiB', SMALL], ['100 MiB', LARGE]] as const) {
      for (const method of ['PUT', 'GET'] as const) {
        const spent = await cpu(method, size)
        // The first round warms up.
        if (round === 0) continue
        const kept = figures[`${method} ${name}`] ?? { off: [], on: [] }
        figures[`${method} ${name}`] = kept
        kept[mode].push(spent)
      }
    }
  }
}

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
console.log('CPU ms per request, median of', ROUNDS, 'rounds')
for (const [name, { off, on }] of Object.entries(figures)) console.log(`${name.padEnd(12)} off ${median(off).toFixed(2).padStart(9)}   on ${median(on).toFixed(2).padStart(9)}   x ${(median(on) / median(off)).toFixed(2)}`)
await place.close()
rmSync(folder, { recursive: true, force: true })
