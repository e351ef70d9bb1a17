/** Project row -> JSON. */
import type { ProjectRow } from '../assignments/effective.ts'
import { selfLink } from '../kernel/links.ts'

export const projectView = (row: ProjectRow, root: string): Record<string, unknown> => ({
  ...row.extra, id: row.id, name: row.name, domain_id: row.is_domain ? null : row.domain_id, description: row.description, enabled: row.enabled, parent_id: row.parent_id, is_domain: row.is_domain,
  tags: row.tags, options: row.options, links: selfLink(root, `/projects/${row.id}`),
})
