/** An acknowledged object is on enough disks: each one that a listing names is looked for on its devices and on those that stand in for them. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { Violation } from '../../durable-objects/kernel/violation.ts'
import { isFault } from '../../schema/values/fault.ts'
import type { ContainerEntry } from './account/store.ts'
import type { ContainerInfo, ObjectRow, VersionRow } from './container/rows.ts'
import { type ListQuery, type Listed, isSubdir } from './list.ts'
import { type ObjectName, containerKey } from './names.ts'
import { storedName, versionId, versioningOf } from './container/rows.ts'
import { locate } from './placement.ts'
import { copiesOf, quorumOf } from './replicas.ts'
import { msOf } from './timestamp.ts'

/** A replica that a device does not have, or one where none belongs: the replicator's work, and no violation while it has time for it. */
export interface DegradedObject {
  resource: string
  copies: number
  wanted: number
  /** Primaries that were asked and have it not. */
  missing: number
  /** Devices that hold it and are none of its primaries: to be drained. */
  extra: number
  unreachable: number
}

export interface ObjectsReport {
  violations: Violation[]
  checked: number
  /** Objects that a primary lacks. */
  degraded: number
  /** Objects that lie where they do not belong as well. */
  misplaced: number
  /** The first of both. */
  details: DegradedObject[]
}

/** Fewer copies than a quorum are a violation once the replicator has had this long. */
export const REPAIR_WINDOW_MS = 10 * 60_000
export const DETAILS_MAX = 100

const PAGE = 1_000
const page = (marker: string): ListQuery => ({ limit: PAGE, marker, end_marker: '', prefix: '', delimiter: '', reverse: false, path: null })

async function* containersOf(env: Env, account: string): AsyncGenerator<string> {
  for (let marker = ''; ; ) {
    const { entries } = await env.ACCOUNT.getByName(account).list(page(marker))
    for (const entry of entries) if (!isSubdir<ContainerEntry>(entry)) yield entry.name
    const last = entries.at(-1)
    if (last === undefined || isSubdir<ContainerEntry>(last) || entries.length < PAGE) return
    marker = last.name
  }
}

interface Checked {
  name: ObjectName
  row: ObjectRow
  policy: number
}

async function* objectsOf(env: Env, account: string, container: string): AsyncGenerator<Checked> {
  const object = env.CONTAINER.getByName(containerKey(account, container))
  let [marker, version_marker, versioned] = ['', '', false]
  for (;;) {
    const { info, entries }: { info: ContainerInfo; entries: Listed<ObjectRow>[] } = versioned ? await object.listVersions({ ...page(marker), version_marker }) : await object.list(page(marker))
    // A history is gone through instead of the listing, as soon as it is known that there is one.
    if (!versioned && versioningOf(info) !== 'never') {
      versioned = true
      continue
    }
    const rows = entries.filter((row): row is ObjectRow => !isSubdir<ObjectRow>(row))
    for (const row of rows) if (!('deleted' in row) || !(row as VersionRow).deleted) yield { name: { account, container, object: row.name }, row, policy: info.policy }
    const last = rows.at(-1)
    if (last === undefined || entries.length < PAGE) return
    marker = last.name
    version_marker = versionId(last.version)
  }
}

export async function verifyObjects(env: Env, accounts: readonly string[], max: number, now_ms: number): Promise<ObjectsReport> {
  const report: ObjectsReport = { violations: [], checked: 0, degraded: 0, misplaced: 0, details: [] }
  for (const account of new Set(accounts)) {
    for await (const container of containersOf(env, account)) {
      try {
        for await (const { name, row, policy } of objectsOf(env, account, container)) {
          if (report.checked >= max) return report
          report.checked++
          await checkObject(env, name, row, policy, now_ms, report)
        }
      } catch (error) {
        // A container that went away meanwhile has nothing to check.
        if (!isFault(error, 'not_found')) throw error
      }
    }
  }
  return report
}

async function checkObject(env: Env, name: ObjectName, row: ObjectRow, policy: number, now_ms: number, report: ObjectsReport): Promise<void> {
  const at = await locate(env, storedName(name, row.version), policy, now_ms)
  const { copies, missing, extra, unreachable, needed } = await copiesOf(env, at, row.at, now_ms)
  const wanted = at.primaries.length
  if (copies < wanted || missing > 0) report.degraded++
  if (extra > 0) report.misplaced++
  const resource = `object ${name.account}/${name.container}/${name.object}${row.version === '' ? '' : ` version ${row.version}`}`
  if ((missing > 0 || extra > 0 || copies < wanted) && report.details.length < DETAILS_MAX) report.details.push({ resource, copies, wanted, missing, extra, unreachable })
  // A device that cannot be asked may have it: that is no loss yet. Nor is what the replicator has not got to.
  if (copies + unreachable >= (needed ?? quorumOf(wanted)) || (copies > 0 && now_ms - msOf(row.at) < REPAIR_WINDOW_MS)) return
  report.violations.push({ invariant: 'object-readable', project_id: name.account.replace(/^AUTH_/, ''), resource, message: copies === 0 ? 'no disk has it' : `only ${copies} of ${wanted} disks have it` })
}
