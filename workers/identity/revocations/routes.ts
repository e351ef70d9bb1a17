/** /v3/OS-REVOKE/events. */
import type { Revocation } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, route } from '../../http/route.ts'
import { realmOf, rootUrl } from '../kernel/http.ts'
import { parseMicros } from '../kernel/time.ts'
import { revocationView } from './views.ts'

function moment(text: string | null): number | null {
  if (text === null || text === '') return null
  try {
    return Math.floor(parseMicros(text) / 1000)
  } catch {
    throw new Fault('bad_request', `invalidate date format ${text}`)
  }
}

export const revocationRoutes: Route[] = [
  route({
    method: 'GET', path: '/v3/OS-REVOKE/events', policy: 'identity:list_revoke_events',
    handle: async (ctx) => {
      const rows = await realmOf(ctx).revocations.list(moment(ctx.url.searchParams.get('since')))
      return { events: rows.map((row) => revocationView(row as Revocation)), links: { next: null, self: `${rootUrl(ctx)}/OS-REVOKE/events`, previous: null } }
    },
  }),
]

export const revocationPolicies: PolicyRule[] = [{ name: 'identity:list_revoke_events', check: 'role:admin or role:service', operations: ['GET /v3/OS-REVOKE/events'] }]
