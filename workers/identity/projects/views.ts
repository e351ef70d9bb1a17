/** Project row -> JSON. */
import type { ProjectRow } from '../assignments/effective.ts'
import { selfLink } from '../kernel/links.ts'

export const projectView = (row: ProjectRow, root: string): Record<string, unknown> => ({
  ...row.extra, id: row.id, name: row.name, domain_id: row.is_domain ? null : row.domain_id, description: row.description, enabled: row.enabled, parent_id: row.parent_id, is_domain: row.is_domain,
  tags: row.tags, options: row.options, links: selfLink(root, `/projects/${row.id}`),
})

interface Tree {
  [id: string]: Tree | null
}

/** parents_as_list and its siblings, each only where asked. Lists show what the caller has a role on; ids show the whole branch. */
export function familyView(row: ProjectRow, family: { parents: ProjectRow[]; subtree: ProjectRow[] }, mine: Set<string>, wants: string[], root: string): Record<string, unknown> {
  const shown = (rows: ProjectRow[]) => rows.filter(({ id }) => mine.has(id)).map((each) => ({ project: projectView(each, root) }))
  const below = (id: string): Tree | null => {
    const children = family.subtree.filter((each) => each.parent_id === id)
    return children.length === 0 ? null : Object.fromEntries(children.map((child) => [child.id, below(child.id)]))
  }
  const above = family.parents.reduceRight<Tree | null>((tree, parent) => ({ [parent.id]: tree }), null)
  const all: Record<string, unknown> = { parents_as_list: ['parents', shown(family.parents)], subtree_as_list: ['subtree', shown(family.subtree)], parents_as_ids: ['parents', above], subtree_as_ids: ['subtree', below(row.id)] }
  return Object.fromEntries(wants.map((name) => all[name] as [string, unknown]))
}
