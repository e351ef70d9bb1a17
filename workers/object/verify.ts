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

export interface ObjectsReport {
  violations: Violation[]
  checked: number
  degraded: number
}

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
  const report: ObjectsReport = { violations: [], checked: 0, degraded: 0 }
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
  const { copies, unreachable } = await copiesOf(env, at, row.at, now_ms)
  const wanted = at.primaries.length
  if (copies < wanted) report.degraded++
  // A device that cannot be asked may have it: that is no loss yet.
  if (copies + unreachable >= quorumOf(wanted)) return
  const resource = `object ${name.account}/${name.container}/${name.object}${row.version === '' ? '' : ` version ${row.version}`}`
  report.violations.push({ invariant: 'object-readable', project_id: name.account.replace(/^AUTH_/, ''), resource, message: copies === 0 ? 'no disk has it' : `only ${copies} of ${wanted} disks have it` })
}
