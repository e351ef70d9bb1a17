/** /v3/policies. */
import * as v from 'valibot'
import { type CrudSpec, crudPolicies, crudRoutes } from '../kernel/crud.ts'
import { selfLink } from '../kernel/links.ts'
import { changed, wrapped } from '../kernel/words.ts'
import type { PolicyRow } from './store.ts'

const type = v.pipe(v.string(), v.maxLength(255))
const blob = v.string()
export const policyView = ({ extra, id, type: kind, blob: content }: PolicyRow, root: string) => ({ ...extra, id, type: kind, blob: content, links: selfLink(root, `/policies/${id}`) })

const spec: CrudSpec<PolicyRow> = {
  one: 'policy', many: 'policies', path: '/v3/policies', store: (session) => session.policies, create: wrapped('policy', { blob, type }), update: changed('policy', { blob: v.optional(blob), type: v.optional(type) }),
  filters: { type: 'text' }, columns: ['blob', 'type'], view: policyView, read: 'role:admin or (role:reader and system_scope:all)',
}

export const policyRoutes = crudRoutes(spec)
export const policyPolicies = crudPolicies(spec)
