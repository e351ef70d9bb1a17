/** Directories that only the site reaches: searched, and asked whether a password is right. What the entries mean, the plane decides. */
import type { DirectoryBind, DirectoryFound, DirectorySearch } from '../../../schema/agent/directory.ts'

export interface DirectoryDriver {
  readonly name: string
  /** Entries under a base, at most `limit`. A base that is not there has none. Unavailable where the directory cannot be asked. */
  search(search: DirectorySearch): Promise<DirectoryFound>
  /** Whether the directory takes this name with this password. An empty password is never right. */
  bind(bind: DirectoryBind): Promise<{ bound: boolean }>
}
