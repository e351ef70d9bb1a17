/** One seed: a cloud of a few hosts, a storm of operations and faults, healing, and the check. `node --import ./test/support/register.ts test/sim/seed.ts SEED` replays it. */
import type { PendingStep } from '../../durable-objects/kernel/outbox.ts'
import type { Violation } from '../../durable-objects/kernel/violation.ts'
import { afterHealing, converged, isLater, leaving, lookAt, quiet, safety } from './invariants.ts'
import { Model, operate, prepare } from './operations.ts'
import { SimCloud } from './simcloud.ts'
import { TROUBLES, type Trouble, brew } from './weather.ts'

export const HOSTS = 3
export const OPERATIONS = 80
/** Operations and trouble begin within this time; then some of both is still under way. */
const STORM_MS = 60_000
const AFTERMATH_MS = 30_000
/** Longer than the longest deadline of a task. */
export const HEAL_LIMIT_MS = 90 * 60_000
/** Virtual time between looks whether all is quiet. */
const LOOK_EVERY_MS = 5_000
/** Steps between looks at the safety invariants: each look reads every project. */
export const CHECK_EVERY = 60

export interface SeedResult {
  seed: number
  violations: Violation[]
  operations: number
  refusals: Record<string, number>
  log: string[]
  /** The same in two runs of a seed. */
  digest: string
  answers: Map<string, number>
  trace: string[]
}

export const replayCommand = (seed: number): string => `node --import ./test/support/register.ts test/sim/seed.ts ${seed}`

export async function runSeed(seed: number, options: { trace?: boolean; kinds?: readonly Trouble[] } = {}): Promise<SeedResult> {
  const sim = await SimCloud.start(seed, HOSTS, options)
  const model = new Model()
  const found: Violation[] = []
  try {
    await prepare(sim, model)
    await storm(sim, model, found, new Set(options.kinds ?? TROUBLES))
    await sim.heal()
    const settled = found.length > 0 || (await calm(sim))
    if (!settled) found.push(...stuck(sim))
    if (found.length === 0) found.push(...(await afterHealing(sim, model)))
    for (const message of model.mistakes) found.push({ invariant: 'no-internal-error', project_id: null, resource: 'api', message })
    return { seed, violations: found, operations: model.answers, refusals: Object.fromEntries(model.refusals), log: sim.log, digest: sim.world.digest(), answers: sim.answers, trace: sim.world.trace ?? [] }
  } finally {
    sim.close()
  }
}

/** Waits until nothing is left to do. */
export async function calm(sim: SimCloud): Promise<boolean> {
  for (let waited = 0; waited < HEAL_LIMIT_MS; waited += LOOK_EVERY_MS) {
    await sim.run(LOOK_EVERY_MS)
    if (quiet(sim)) return true
  }
  return false
}

async function storm(sim: SimCloud, model: Model, found: Violation[], kinds: ReadonlySet<Trouble>): Promise<void> {
  const { world } = sim
  const lasts_ms = brew(sim, kinds, STORM_MS)
  let running = 0
  for (let n = 0; n < OPERATIONS; n++) {
    world.after(world.random.below(STORM_MS), () => {
      running++
      void operate(sim, model).catch(() => {}).finally(() => running--)
    })
  }
  let steps = 0
  await sim.run(lasts_ms + AFTERMATH_MS, () => found.length > 0, () => {
    if (++steps % CHECK_EVERY === 0) found.push(...safety(sim))
  })
  if (found.length === 0) await sim.run(300_000, () => running === 0)
}

function stuck(sim: SimCloud): Violation[] {
  const out: Violation[] = []
  for (const { kind, id } of sim.cluster.objects()) {
    for (const step of (sim.cluster.instance(kind, id).pendingSteps() as PendingStep[]).filter((one) => !isLater(one, sim.world.clock.now_ms()))) out.push({ invariant: 'converges', project_id: null, resource: `${kind}/${id}`, message: `still to do after healing: ${JSON.stringify(step)}` })
  }
  for (const host of sim.hosts) if (!host.agent?.up || !host.agent.idle) out.push({ invariant: 'converges', project_id: null, resource: `host ${host.name}`, message: `its agent is ${host.agent?.up ? 'busy' : 'not connected'} after healing` })
  for (const [id, holdings] of lookAt(sim).projects) {
    for (const what of [...holdings.underway, ...holdings.items.filter((item) => item.busy).map((item) => `${item.kind} ${item.id} on ${item.host_id}`)]) out.push({ invariant: 'converges', project_id: id, resource: what, message: 'it is under way and does not end' })
  }
  for (const what of leaving(lookAt(sim))) out.push({ invariant: 'converges', project_id: null, resource: what, message: 'its host does not let go of it' })
  out.push(...converged(sim))
  return out.length > 0 ? out : [{ invariant: 'converges', project_id: null, resource: 'cloud', message: 'hosts did not reach what is desired' }]
}

if (import.meta.main) {
  const seed = Number(process.argv[2] ?? 1)
  const started = performance.now()
  const result = await runSeed(seed)
  if (process.argv.includes('--log')) for (const line of result.log) console.log(line)
  for (const violation of result.violations) console.log('VIOLATION', violation)
  console.log(`seed ${seed}: ${result.operations} operations, refused ${JSON.stringify(result.refusals)}, ${result.violations.length} violations, ${Math.round(performance.now() - started)} ms`)
  process.exit(result.violations.length === 0 ? 0 : 1)
}
