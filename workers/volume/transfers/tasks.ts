/** The taker's promise after an acceptance: the region knows the new owner, and the giver forgets. Repeatable. */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { REGION_OBJECT_NAME } from '../../../durable-objects/kernel/env.ts'
import type { Tasks } from '../../../durable-objects/kernel/outbox.ts'
import { onProject, onRegion } from '../../../durable-objects/kernel/sessions.ts'

export const VOLUME_ALIAS = 'volume-alias'

export const transferTasks: Tasks<Deps> = {
  'volume.transfer_finish': {
    run: async (deps, { id, giver_id, volume_id, foreign_id }: { id: string; giver_id: string; volume_id: string; foreign_id: boolean }, entry) => {
      const region = deps.env.REGION.getByName(REGION_OBJECT_NAME)
      await region.publish(VOLUME_ALIAS, volume_id, deps.name, foreign_id ? ['*'] : [], {})
      await onRegion(deps.env, entry.request_id, (session) => session.volume.scheduler.reassign(volume_id, deps.name))
      await onProject(deps.env, giver_id, entry.request_id, (project) => project.volume.transfers.handedOver(id, deps.name))
    },
    deadline_ms: 30 * 24 * 3_600_000,
  },
}
