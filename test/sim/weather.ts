/** What may go wrong in a storm, each kind by itself or all together. */
import { NO_LINK_FAULTS } from './link.ts'
import type { SimCloud } from './simcloud.ts'

export const TROUBLES = ['drop', 'double', 'swap', 'cut', 'delay', 'object-crash', 'agent-crash', 'power', 'drivers', 'sever', 'guests'] as const
export type Trouble = (typeof TROUBLES)[number]

const AGENT_AWAY_MS = { least: 500, most: 20_000 }
const POWER_AWAY_MS = { least: 5_000, most: 30_000 }
const SEVERED_MS = { least: 1_000, most: 120_000 }
/** Longer than the deadlines of most tasks. */
const LONG_SILENCE_MS = { least: 6 * 60_000, most: 40 * 60_000 }

/** Starts the trouble; answers how long the storm must last for all of it to happen. */
export function brew(sim: SimCloud, kinds: ReadonlySet<Trouble>, length_ms: number): number {
  const { world } = sim
  const on = (kind: Trouble, value: number) => (kinds.has(kind) ? value : 0)
  sim.net.faults = {
    ...NO_LINK_FAULTS, drop_one_in: on('drop', 40 + world.random.below(100)), double_one_in: on('double', 20), swap_one_in: on('swap', 40), cut_one_in: on('cut', 60 + world.random.below(200)), delay_max_ms: kinds.has('delay') ? 30 : NO_LINK_FAULTS.delay_max_ms,
  }
  sim.objectFaults = { crash_one_in: on('object-crash', 80 + world.random.below(200)), delay_max_ms: kinds.has('delay') ? 10 : 2 }
  let lasts_ms = length_ms
  const at = (kind: Trouble, one_in: number, work: () => void) => {
    if (kinds.has(kind) && world.oneIn(one_in)) world.after(world.random.below(length_ms), work)
  }
  const within = ({ least, most }: { least: number; most: number }) => least + world.random.below(most - least)
  sim.hosts.forEach((host, n) => {
    const id = sim.hostIds[n] ?? ''
    at('agent-crash', 2, () => {
      host.crash()
      world.after(within(AGENT_AWAY_MS), () => void host.start().catch(() => {}))
    })
    at('power', 6, () => {
      sim.powerFailure(n)
      world.after(within(POWER_AWAY_MS), () => void host.start().catch(() => {}))
    })
    at('sever', 3, () => {
      sim.net.sever(id)
      world.after(within(SEVERED_MS), () => sim.net.mend(id))
    })
    // Now and then a host says nothing for so long that what waits for it is given up.
    if (kinds.has('sever') && world.oneIn(10)) {
      const silent_ms = within(LONG_SILENCE_MS)
      lasts_ms = Math.max(lasts_ms, length_ms + silent_ms)
      world.after(world.random.below(length_ms), () => {
        sim.net.sever(id)
        world.after(silent_ms, () => sim.net.mend(id))
      })
    }
    at('drivers', 2, () => host.faults.fail('*', { times: 1 + world.random.below(4), when: world.oneIn(2) ? 'before' : 'after' }))
    at('drivers', 3, () => host.faults.fail(world.pick(STEPS) ?? '*', { times: 1 + world.random.below(12) }))
    at('drivers', 3, () => host.faults.delay('*', within({ least: 1_000, most: 60_000 }), { times: 1 + world.random.below(3) }))
    at('guests', 2, () => {
      const running = [...host.disk.hypervisor].filter(([, machine]) => machine.state.power === 'running').map(([server]) => server)
      const machine = world.pick(running)
      if (machine === undefined) return
      if (world.oneIn(2)) host.hypervisor?.guestShutdown(machine)
      else host.hypervisor?.crash(machine)
    })
  })
  for (let n = 0; n < 3; n++) {
    at('object-crash', 1, () => {
      const object = world.pick(sim.cluster.objects())
      if (object !== undefined && object.kind !== 'IDENTITY') sim.cluster.crash(object.kind, object.id)
    })
  }
  return lasts_ms
}

/** Steps of drivers that fail for longer: until the agent gives up, or a build goes elsewhere. */
const STEPS = ['ensure', 'remove', 'ensureVolume', 'removeVolume', 'ensureExport', 'ensurePort', 'ensureNetwork', 'put', 'get']
