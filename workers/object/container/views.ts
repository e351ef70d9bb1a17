/** Rows of a container as listings show them. Pure: the Container object itself makes the text of a listing. */
import { linkShown } from '../features/symlink-row.ts'
import { type Listed, isSubdir } from '../list.ts'
import { type Format, type ListingRow, listingText } from '../listing.ts'
import { listingTime } from '../timestamp.ts'
import type { ContainerInfo, ObjectRow } from './rows.ts'

/** What of a row is shown. */
export type ShownFields = Pick<ObjectRow, 'name' | 'etag' | 'size' | 'slo_size' | 'content_type' | 'modified_at' | 'slo_etag' | 'extra'>

export function shownRow(row: ShownFields, account: string) {
  const shown = { name: row.name, hash: row.etag, bytes: row.slo_size ?? row.size, content_type: row.content_type, last_modified: listingTime(row.modified_at) }
  // Most objects are neither: nothing is copied for them.
  return row.slo_etag === null && row.extra === null ? shown : { ...shown, ...(row.slo_etag === null ? {} : { slo_etag: `"${row.slo_etag}"` }), ...linkShown(row.extra, account) }
}

export function rowsText(format: Format, info: ContainerInfo, entries: Listed<ShownFields>[]): string {
  const rows: ListingRow[] = entries.map((entry) => (isSubdir(entry) ? entry : shownRow(entry, info.account)))
  return listingText(format, { element: 'container', name: info.name, item: 'object' }, rows)
}
