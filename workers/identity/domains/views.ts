/** A project that acts as a domain -> JSON of a domain. */
import type { ProjectRow } from '../assignments/effective.ts'
import { selfLink } from '../kernel/links.ts'

export const domainView = (row: ProjectRow, root: string): Record<string, unknown> => ({
  ...row.extra, id: row.id, name: row.name, description: row.description, enabled: row.enabled, tags: row.tags, options: row.options, links: selfLink(root, `/domains/${row.id}`),
})
