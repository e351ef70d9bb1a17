/** Group -> JSON. */
import { selfLink } from '../kernel/links.ts'
import type { GroupRow } from './store.ts'

export const groupView = ({ extra, origin: _origin, ...row }: GroupRow, root: string): Record<string, unknown> => ({ ...extra, ...row, links: selfLink(root, `/groups/${row.id}`) })
