/** What auditors met on disks, held against the listing: a write whose row was lost is entered, one whose deletion was lost goes. Runs in the Container object. */
import { type ObjectRow, versioningOf } from './rows.ts'
import type { ContainerStore } from './store.ts'

/** Answers how many rows were wrong. A history is not guessed at. */
export function reconcile(store: ContainerStore, found: readonly { kind: 'data' | 'ts'; row: ObjectRow }[]): number {
  const info = store.info()
  if (info === null || versioningOf(info) !== 'never') return 0
  let changed = 0
  for (const { kind, row } of found) {
    const before = store.object(row.name)
    if (kind === 'ts') {
      if (before !== null && before.at < row.at && store.deleteObject(row.name, row.at)) changed++
    } else if (before === null || before.at < row.at) {
      if (store.putObject(row)) changed++
    } else if (before.at === row.at && before.modified_at < row.modified_at) {
      store.postObject(row.name, row.modified_at, row.content_type, row.delete_at)
      changed++
    }
  }
  return changed
}
