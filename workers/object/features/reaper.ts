/** The end of a deleted account: its objects with all their versions, then its containers, a batch at a time (swift/account/reaper.py). Runs in the Account object. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { versionId, versioningOf } from '../container/rows.ts'
import { isSubdir } from '../list.ts'
import { type ObjectName, containerKey } from '../names.ts'
import { beginWrite, removeObject, removeVersion } from '../object/write.ts'

export const REAP_BATCH = 100
const REAPS_AT_ONCE = 4

/** Removes one batch; true once the container is gone. */
export async function reapContainer(env: Env, account: string, container: string, now_ms: number): Promise<boolean> {
  const object = env.CONTAINER.getByName(containerKey(account, container))
  const info = await object.info()
  if (info === null) return true
  const page = { limit: REAP_BATCH, marker: '', end_marker: '', prefix: '', delimiter: '', reverse: false, path: null }
  const works: (() => Promise<unknown>)[] = []
  const nameOf = (name: string): ObjectName => ({ account, container, object: name })
  if (versioningOf(info) === 'never') {
    for (const row of (await object.list(page)).entries) if (!isSubdir(row)) works.push(() => removeObject(env, nameOf(row.name), now_ms))
  } else {
    for (const row of (await object.listVersions({ ...page, version_marker: '' })).entries) if (!isSubdir(row)) works.push(async () => removeVersion(env, await beginWrite(env, nameOf(row.name)), versionId(row.version), false, now_ms))
  }
  if (works.length === 0) {
    await object.remove()
    return true
  }
  for (let at = 0; at < works.length; at += REAPS_AT_ONCE) {
    const outcomes = await Promise.allSettled(works.slice(at, at + REAPS_AT_ONCE).map((work) => work()))
    // What went away meanwhile is gone too; anything else is tried again later.
    const failed = outcomes.find((one) => one.status === 'rejected' && !isFault(one.reason, 'not_found'))
    if (failed?.status === 'rejected') throw failed.reason
  }
  return false
}
