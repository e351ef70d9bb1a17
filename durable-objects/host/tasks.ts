/** Outbox tasks of a Host object: telling the region and the ring about the host. */
import type { HostFacts } from '../../schema/agent/observed.ts'
import { policiesOf } from '../../workers/object/policies.ts'
import type { Deps } from '../kernel/deps.ts'
import { REGION_OBJECT_NAME } from '../kernel/env.ts'
import type { Tasks } from '../kernel/outbox.ts'

export const hostTasks: Tasks<Deps> = {
  'host-report': {
    run: async (deps, { up, facts }: { up: boolean; facts: HostFacts | null }) => {
      await deps.env.REGION.getByName(REGION_OBJECT_NAME).hostReport(deps.name, up, facts)
    },
  },
  'ring-refresh': {
    run: async (deps) => {
      // Each storage policy has a ring of its own, over the same devices.
      for (const { index } of policiesOf(deps.env)) await deps.env.RING.getByName(String(index)).refresh()
    },
  },
}
