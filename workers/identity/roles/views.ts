/** Roles and inferences -> JSON. */
import type { RoleRow } from '../assignments/effective.ts'
import { selfLink } from '../kernel/links.ts'
import type { Inference } from './store.ts'

export const roleView = ({ extra, id, name, domain_id, description, options }: RoleRow, root: string): Record<string, unknown> => ({
  ...extra, id, name, domain_id: domain_id === '' ? null : domain_id, description, options, links: selfLink(root, `/roles/${id}`),
})

const brief = ({ id, name }: RoleRow, root: string) => ({ id, name, links: selfLink(root, `/roles/${id}`) })

export const inferenceView = ({ prior, implies }: Inference, root: string) => ({ prior_role: brief(prior, root), implies: implies.map((role) => brief(role, root)) })
export const pairView = ({ prior, implied }: { prior: RoleRow; implied: RoleRow }, root: string) => ({
  role_inference: { prior_role: brief(prior, root), implies: brief(implied, root) }, links: selfLink(root, `/roles/${prior.id}/implies/${implied.id}`),
})
