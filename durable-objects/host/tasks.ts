/** Outbox tasks of a Host object: telling the region and the ring about the host. */
import type { HostFacts } from '../../schema/agent/observed.ts'
import type { Deps } from '../kernel/deps.ts'
import { REGION_OBJECT_NAME } from '../kernel/env.ts'
import type { Tasks } from '../kernel/outbox.ts'

export const DEFAULT_RING = '0'

export const hostTasks: Tasks<Deps> = {
  'host-report': {
    run: async (deps, { up, facts }: { up: boolean; facts: HostFacts | null }) => {
      await deps.env.REGION.getByName(REGION_OBJECT_NAME).hostReport(deps.name, up, facts)
    },
  },
  'ring-refresh': {
    run: async (deps) => {
      await deps.env.RING.getByName(DEFAULT_RING).refresh()
    },
  },
}
