/** What auditors met on disks, held against the listing: a write whose row was lost is entered, one whose deletion was lost goes. Runs in the Container object. */
import { type ObjectRow, versioningOf } from './rows.ts'
import type { ContainerStore } from './store.ts'

export interface MetOnDisk {
  kind: 'data' | 'ts'
  row: ObjectRow
}

/** What the listing does not say. A history is not guessed at. */
export function wrongAmong(store: ContainerStore, found: readonly MetOnDisk[]): MetOnDisk[] {
  const info = store.info()
  if (info === null || versioningOf(info) !== 'never') return []
  return found.filter(({ kind, row }) => {
    const before = store.object(row.name)
    if (kind === 'ts') return before !== null && before.at < row.at
    if (before !== null && before.at >= row.at) return before.at === row.at && before.modified_at < row.modified_at
    const { at, deleted_at } = store.word(row.name)
    return (at === null || at < row.at) && (deleted_at === null || deleted_at < row.at)
  })
}

/** Answers how many rows were wrong. */
export function reconcile(store: ContainerStore, found: readonly MetOnDisk[]): number {
  let changed = 0
  for (const one of wrongAmong(store, found)) {
    const { kind, row } = one
    const before = store.object(row.name)
    if (kind === 'ts') {
      if (store.deleteObject(row.name, row.at)) changed++
    } else if (before === null || before.at < row.at) {
      if (store.putObject(row)) changed++
    } else {
      store.postObject(row.name, row.modified_at, row.content_type, row.delete_at)
      changed++
    }
  }
  return changed
}
