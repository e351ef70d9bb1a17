/**
 * Steps between objects: each task of a Project's outbox may run again at any time after it succeeded and changes nothing then; and whichever hop between two objects
 * fails, by the caller's or the callee's end, before the work or after it, everything comes out whole.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Task, TaskEntry } from '../../durable-objects/kernel/outbox.ts'
import { projectTasks } from '../../durable-objects/project/wiring.ts'
import { isFault } from '../../schema/values/fault.ts'
import { afterHealing } from './invariants.ts'
import { Model, prepare } from './operations.ts'
import { walk } from './scenario.ts'
import { calm } from './seed.ts'
import { SimCloud } from './simcloud.ts'

interface Ran {
  task: string
  project: string
  payload: unknown
  entry: TaskEntry
}

/** Rows of every object, without what only says that time goes by. */
function dump(sim: SimCloud): Record<string, string> {
  const out: Record<string, string> = {}
  for (const { kind, id } of sim.cluster.objects()) {
    const { sql } = sim.cluster.instance(kind, id).deps?.storage ?? {}
    if (sql === undefined) continue
    const tables = sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").toArray() as { name: string }[]
    for (const { name } of tables) if (!PASSING.has(name)) out[`${kind}/${id} ${name}`] = JSON.stringify(sql.exec(`SELECT * FROM ${name}`).toArray())
  }
  return out
}
/** `tombstones`: deleting an object that is gone leaves a newer one, as in Swift. */
const PASSING = new Set(['_alarms', '_outbox', 'link', 'transfers', 'hosts', 'tombstones'])

const changed = (before: Record<string, string>, after: Record<string, string>): string[] => Object.keys({ ...before, ...after }).filter((key) => before[key] !== after[key])

async function again(sim: SimCloud, { task, project, payload, entry }: Ran): Promise<void> {
  const { run, expire } = projectTasks[task] as Task<Deps>
  const deps = sim.cluster.instance('PROJECT', project).deps as Deps
  try {
    await sim.finish(run(deps, payload, entry))
  } catch (error) {
    // A refusal is no change either, nor is what becomes of it.
    if (!isFault(error)) throw error
    await sim.finish(Promise.resolve(expire?.(deps, payload, error.message, entry)))
  }
}

test('every task of a project may run again after it succeeded: nothing changes', async () => {
  const ran: Ran[] = []
  const originals = Object.entries(projectTasks).map(([name, task]) => ({ name, task, run: task.run }))
  for (const { name, task, run } of originals) {
    task.run = async (deps, payload, entry) => {
      await run(deps, payload, entry)
      ran.push({ task: name, project: deps.name, payload, entry })
    }
  }
  const sim = await SimCloud.start(3, 3)
  try {
    const model = new Model()
    await prepare(sim, model)
    await walk(sim, model)
    assert.ok(await calm(sim))
    assert.deepEqual([...model.refusals], [], 'without faults nothing is refused')
    for (const { task, run } of originals) task.run = run
    for (const one of ran) {
      const before = dump(sim)
      await again(sim, one)
      assert.deepEqual(changed(before, dump(sim)), [], `${one.task} ${JSON.stringify(one.payload)} run again`)
    }
    const covered = new Set(ran.map(({ task }) => task))
    const wanted = ['compute.converge', 'compute.release', 'compute.unresize', 'compute.reboot', 'compute.password', 'compute.snapshot', 'compute.forget-image', 'network-sync', 'network-settle', 'network-release', 'network-carry', 'router-place',
      'volume.place', 'volume.push', 'volume.extend', 'volume.release', 'volume.upload', 'volume.backup', 'volume.restore', 'volume.backup_delete', 'image.publish', 'image.delete_bytes']
    assert.deepEqual(wanted.filter((task) => !covered.has(task)), [], 'tasks that the walk did not reach')
  } finally {
    for (const { task, run } of originals) task.run = run
    sim.close()
  }
})

/** One hop in so many of the walk fails, each in a run of its own. SKYHOOK_HOP_STRIDE=1 tries all of them. */
const STRIDE = Number(process.env.SKYHOOK_HOP_STRIDE ?? 29)

/** The walk with a crash at hop `fails` (none: Infinity). Answers how many hops it had. */
async function walkFailing(fails: number): Promise<number> {
  const sim = await SimCloud.start(3, 3)
  try {
    const model = new Model()
    await prepare(sim, model)
    let hops = 0
    sim.crashAt = () => hops++ === fails
    await walk(sim, model)
    sim.crashAt = () => false
    assert.ok(await calm(sim), `hop ${fails}: it does not come to rest`)
    assert.deepEqual([...model.mistakes, ...(await afterHealing(sim, model))], [], `hop ${fails}`)
    return hops
  } finally {
    sim.close()
  }
}

test('whichever hop between objects fails, everything comes out whole', async () => {
  const hops = await walkFailing(Number.POSITIVE_INFINITY)
  assert.ok(hops > 300, `${hops} hops`)
  for (let hop = 0; hop < hops; hop += STRIDE) await walkFailing(hop)
})
