/** Making and changing a large ring: `node bench/ring.ts`. 1,000 devices, part power 16, three replicas. Prints what it saw; asserts nothing (workers/object/ring.test.ts does). */
import { seededRandom } from '../schema/values/random.ts'
import { balanceReport, dispersionReport } from '../workers/object/ring-report.ts'
import { type RebalanceResult, type RingDevice, rebalance } from '../workers/object/ring.ts'

const DEVICES = 1_000
const PER_HOST = 10
const PER_ZONE = 100
const LIMITS = { part_power: 16, replicas: 3, min_part_hours: 1, overload: 0.1 }
const deviceOf = (id: number, zone: string, host: string): RingDevice => ({ id, host_id: host, device: `d${id % PER_HOST}`, region: 1, zone, weight: 100 + (id % 7) * 10 })
const devices = Array.from({ length: DEVICES }, (_, n) => deviceOf(n, `z${Math.floor(n / PER_ZONE)}`, `h${Math.floor(n / PER_HOST)}`))

function timed(what: string, next: RingDevice[], before: RebalanceResult | null): RebalanceResult {
  const held = new Map(before === null ? [] : balanceReport(before.assignment, devices).map(({ id, parts }) => [id, parts]))
  const started = performance.now()
  const cpu = process.cpuUsage()
  const made = rebalance({ ...LIMITS, devices: next, now_h: before === null ? 1 : 100, random: seededRandom(1), ...(before === null ? {} : { previous: before.assignment, moved_h: before.moved_h }) })
  const { user, system } = process.cpuUsage(cpu)
  const report = balanceReport(made.assignment, next)
  const homeless = devices.filter(({ id }) => !next.some((one) => one.id === id)).reduce((sum, { id }) => sum + (held.get(id) ?? 0), 0)
  const least = Math.max(homeless, report.reduce((sum, { id, wanted }) => sum + Math.max(0, Math.floor(wanted) - (held.get(id) ?? 0)), 0))
  const worst = Math.max(...report.map(({ parts, wanted }) => Math.abs(parts - wanted)))
  const { crowded } = dispersionReport(made.assignment, next, LIMITS.replicas, LIMITS.overload)
  console.log(`${what.padEnd(24)} ${Math.round(performance.now() - started)} ms, ${Math.round((user + system) / 1_000)} ms of CPU; moved ${made.moved} (least ${before === null ? 0 : least}); worst device ${worst.toFixed(1)} partitions off; ${crowded} crowded`)
  return made
}

const first = timed('made', devices, null)
timed('one device more', [...devices, deviceOf(5_000, 'z0', 'h3')], first)
timed('one device less', devices.slice(1), first)
timed('one zone more', [...devices, ...Array.from({ length: PER_ZONE }, (_, n) => deviceOf(6_000 + n, 'new', `n${Math.floor(n / PER_HOST)}`))], first)
timed('one zone less', devices.filter(({ zone }) => zone !== 'z4'), first)
