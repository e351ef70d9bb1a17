/** What a bucket does by itself: removes segments that nothing refers to, and what its lifecycle rules say has had its time. Runs in the Container object, by its alarm. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { isFault } from '../../../schema/values/fault.ts'
import { type ContainerInfo, type ObjectRow, type VersionRow, versionId, versioningOf } from '../container/rows.ts'
import { isSubdir } from '../list.ts'
import { containerKey } from '../names.ts'
import { beginWrite, removeCurrent, removeObject, removeVersion } from '../object/write.ts'
import { msOf } from '../timestamp.ts'
import { segmentsOf } from './address.ts'
import { type Rule, type Doomed, appliesTo, dueCurrent, dueVersions } from './lifecycle.ts'
import { isLocked } from './object/lock.ts'

const SWEEP_BATCH = 500
const PAGE = 1_000
/** Removals of one run; the rest waits for the next, so that an alarm ends. */
const REMOVALS_MAX = 5_000

interface Bucket {
  account: string
  container: string
}

/** Whether some version of the object still is this upload's. */
async function isUsed(env: Env, { account, container }: Bucket, upload: string): Promise<boolean> {
  const key = upload.slice(0, upload.lastIndexOf('/'))
  const bucket = env.CONTAINER.getByName(containerKey(account, container))
  try {
    let id = ''
    for (;;) {
      const { entries } = await bucket.listVersions({ limit: PAGE, marker: id === '' ? '' : key, version_marker: id, end_marker: '', prefix: key, delimiter: '', reverse: false, path: null })
      const rows = entries.filter((entry): entry is VersionRow => !isSubdir(entry))
      if (rows.some((row) => row.name === key && row.extra?.['s3-upload'] === upload)) return true
      const last = rows.at(-1)
      if (rows.length < PAGE || last === undefined || last.name !== key) return false
      id = versionId(last.version)
    }
  } catch (error) {
    if (isFault(error, 'not_found')) return false
    throw error
  }
}

/** Removes what is left of an upload. True where nothing is. */
export async function sweepUpload(env: Env, bucket: Bucket, upload: string, now_ms: number): Promise<boolean> {
  if (await isUsed(env, bucket, upload)) return true
  const container = segmentsOf(bucket.container)
  let rows: ObjectRow[]
  try {
    const { entries } = await env.CONTAINER.getByName(containerKey(bucket.account, container)).list({ limit: SWEEP_BATCH, marker: '', end_marker: '', prefix: `${upload}/`, delimiter: '', reverse: false, path: null })
    rows = entries.filter((entry): entry is ObjectRow => !isSubdir(entry))
  } catch (error) {
    if (isFault(error, 'not_found')) return true
    throw error
  }
  for (const row of rows) await removeObject(env, { account: bucket.account, container, object: row.name }, now_ms)
  return rows.length < SWEEP_BATCH
}

/** One run over the bucket; true where it stopped at the most that one run may remove. */
export async function runLifecycle(env: Env, info: ContainerInfo, text: string, now_ms: number): Promise<boolean> {
  const rules = (JSON.parse(text) as Rule[]).filter((rule) => rule.enabled)
  let left = REMOVALS_MAX
  const versioned = versioningOf(info) !== 'never'
  for (const rule of rules) {
    if (rule.abort_days !== null) left -= await abortUploads(env, info, rule, now_ms, left)
    if (rule.expire_days === null && rule.expire_at_ms === null && rule.noncurrent_days === null && !rule.expire_markers) continue
    left -= versioned ? await expireVersions(env, info, rule, now_ms, left) : await expireCurrent(env, info, rule, now_ms, left)
    if (left <= 0) return true
  }
  return false
}

const containerOf = (env: Env, info: ContainerInfo) => env.CONTAINER.getByName(containerKey(info.account, info.name))

async function abortUploads(env: Env, info: ContainerInfo, rule: Rule, now_ms: number, left: number): Promise<number> {
  let [key_marker, id_marker, count] = ['', '', 0]
  for (;;) {
    const uploads = await containerOf(env, info).s3Uploads({ prefix: rule.prefix, key_marker, id_marker, limit: PAGE })
    for (const { key, id, at_ms } of uploads) {
      if (at_ms + (rule.abort_days ?? 0) * 86_400_000 > now_ms) continue
      if (count >= left) return count
      await containerOf(env, info).s3EndUpload(key, id, true)
      count++
    }
    const last = uploads.at(-1)
    if (uploads.length < PAGE || last === undefined) return count
    ;[key_marker, id_marker] = [last.key, last.id]
  }
}

async function expireCurrent(env: Env, info: ContainerInfo, rule: Rule, now_ms: number, left: number): Promise<number> {
  let [marker, count] = ['', 0]
  for (;;) {
    const { entries } = await containerOf(env, info).list({ limit: PAGE, marker, end_marker: '', prefix: rule.prefix, delimiter: '', reverse: false, path: null })
    const rows = entries.filter((entry): entry is ObjectRow => !isSubdir(entry))
    for (const row of rows) {
      if (count >= left) return count
      if (!appliesTo(rule, row) || !dueCurrent(rule, msOf(row.at), now_ms)) continue
      await expire(env, info, row, now_ms)
      count++
    }
    if (rows.length < PAGE) return count
    marker = rows.at(-1)?.name ?? ''
  }
}

/** What is current gives way (to a marker, where there are versions), unless it was written anew meanwhile. */
async function expire(env: Env, info: ContainerInfo, row: ObjectRow, now_ms: number): Promise<void> {
  const begun = await beginWrite(env, { account: info.account, container: info.name, object: row.name })
  if (begun.existing?.at === row.at) await removeCurrent(env, begun, now_ms)
}

async function expireVersions(env: Env, info: ContainerInfo, rule: Rule, now_ms: number, left: number): Promise<number> {
  let [marker, version_marker, count] = ['', '', 0]
  let open: VersionRow[] = []
  const settle = async () => {
    const doomed: Doomed[] = dueVersions(rule, open.map((row) => ({ ...row, at_ms: msOf(row.at) })), now_ms)
    for (const { row, how } of doomed) {
      if (count >= left) return
      if (how === 'expire') await expire(env, info, row, now_ms)
      else if (!isLocked(row.extra, now_ms, false)) await removeVersion(env, await beginWrite(env, { account: info.account, container: info.name, object: row.name }), versionId(row.version), true, now_ms)
      count++
    }
  }
  for (;;) {
    const { entries } = await containerOf(env, info).listVersions({ limit: PAGE, marker, version_marker, end_marker: '', prefix: rule.prefix, delimiter: '', reverse: false, path: null })
    const rows = entries.filter((entry): entry is VersionRow => !isSubdir(entry))
    for (const row of rows) {
      if (open[0] !== undefined && open[0].name !== row.name) {
        await settle()
        open = []
      }
      open.push(row)
    }
    const last = rows.at(-1)
    if (rows.length < PAGE || last === undefined || count >= left) break
    ;[marker, version_marker] = [last.name, versionId(last.version)]
  }
  await settle()
  return count
}
