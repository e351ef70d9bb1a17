/** Steps that others promise to take here: a project that is deleted takes its account with it. */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../../durable-objects/kernel/outbox.ts'

const DELETE_DEADLINE_MS = 7 * 24 * 3_600_000

export const accountTasks: Tasks<Deps> = {
  'delete-account': {
    deadline_ms: DELETE_DEADLINE_MS,
    run: async ({ env }, { project_id }: { project_id: string }) => {
      await env.ACCOUNT.getByName(`AUTH_${project_id}`).remove()
    },
  },
}
