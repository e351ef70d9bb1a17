/** Symbolic links in a listing. Pure: used where the rows are. */
import { type Metadata, metaOf } from '../headers.ts'
import { quotePath } from '../names.ts'

/** What the listing's row keeps of a link. */
export function linkRow(metadata: Metadata): { extra?: Record<string, string> } {
  const path = metaOf(metadata, 'x-object-sysmeta-symlink-target')
  if (path === undefined) return {}
  const extra: Record<string, string> = { symlink_target: path }
  for (const name of ['account', 'etag', 'bytes']) {
    const value = metaOf(metadata, `x-object-sysmeta-symlink-target-${name}`)
    if (value !== undefined) extra[`symlink_${name}`] = value
  }
  return { extra }
}

/** How a listing shows it. */
export function linkShown(extra: Record<string, string> | null, account: string): Record<string, string | number> {
  if (extra?.symlink_target === undefined) return {}
  const { symlink_target, symlink_account, symlink_etag, symlink_bytes } = extra
  return { symlink_path: `/v1/${quotePath(symlink_account ?? account)}/${symlink_target}`, ...(symlink_etag === undefined ? {} : { symlink_etag, symlink_bytes: Number(symlink_bytes) }) }
}
