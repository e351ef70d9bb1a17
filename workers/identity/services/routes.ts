/** /v3/services. */
import * as v from 'valibot'
import { type CrudSpec, crudPolicies, crudRoutes } from '../kernel/crud.ts'
import { selfLink } from '../kernel/links.ts'
import { bool, changed, name255, text, wrapped } from '../kernel/words.ts'
import type { ServiceRow } from './store.ts'

const serviceView = ({ extra, id, type, name, description, enabled }: ServiceRow, root: string) => ({
  ...extra, id, type, enabled, ...(name === null ? {} : { name }), ...(description === null ? {} : { description }), links: selfLink(root, `/services/${id}`),
})

const spec: CrudSpec<ServiceRow> = {
  one: 'service', many: 'services', path: '/v3/services', store: (session) => session.services,
  create: wrapped('service', { type: name255, name: v.optional(v.string()), description: text, enabled: v.optional(bool) }),
  update: changed('service', { type: v.optional(name255), name: v.optional(v.string()), description: text, enabled: v.optional(bool) }),
  filters: { type: 'text', name: 'text' }, columns: ['type', 'name', 'description', 'enabled'], view: serviceView, read: 'role:admin or (role:reader and system_scope:all)',
}

export const serviceRoutes = crudRoutes(spec)
export const servicePolicies = crudPolicies(spec)
