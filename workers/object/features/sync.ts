/**
 * Container sync inside this cloud: what is written to one container is written to another with the same time (swift/container/sync.py). Both owners say so by giving
 * their containers the same secret, so no token is needed. Runs in the Container object, after each change and again until it is done.
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { isFault } from '../../../schema/values/fault.ts'
import type { ContainerInfo, ObjectRow } from '../container/store.ts'
import { swiftFault } from '../errors.ts'
import { forgetContainer } from '../known.ts'
import { type ObjectName, containerKey } from '../names.ts'
import { sloOf } from '../object/large.ts'
import { bodyOf, openStored } from '../object/read.ts'
import { swiftOptions } from '../options.ts'
import { beginWrite, commitWrite, isSuperseded } from '../object/write.ts'
import { deleteReplicas } from '../replicas.ts'

export interface SyncRealm {
  realm: string
  cluster: string
}

/** The names under which this cloud is known; of use only to clients, which must write them. */
export function syncRealm(env: Env): SyncRealm {
  const given = swiftOptions(env).container_sync
  return { realm: given?.realm ?? 'realm1', cluster: given?.cluster ?? 'name1' }
}

export interface SyncTarget {
  account: string
  container: string
}

/** '//realm/cluster/account/container'. Anything else would let a tenant make the cloud call an address of theirs. */
export function syncTarget(env: Env, text: string): SyncTarget {
  const match = /^\/\/([^/]+)\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(text)
  if (match === null) throw swiftFault(400, 'Invalid X-Container-Sync-To: //realm/cluster/account/container is needed')
  const own = syncRealm(env)
  if (match[1] !== own.realm || match[2] !== own.cluster) throw swiftFault(400, `No cluster endpoint for ${JSON.stringify(match[1])} ${JSON.stringify(match[2])}`)
  return { account: match[3] ?? '', container: match[4] ?? '' }
}

/** Whether the other side agreed: it exists and has the same secret. */
export async function syncAgreed(env: Env, info: ContainerInfo, target: SyncTarget): Promise<boolean> {
  const other = await env.CONTAINER.getByName(containerKey(target.account, target.container)).info()
  const key = info.metadata['x-container-sync-key']
  return other !== null && key !== undefined && key !== '' && other.metadata['x-container-sync-key'] === key
}

/** Copies one row, or its deletion (a row without data), unless the target has it or something newer. */
export async function syncRow(env: Env, info: ContainerInfo, target: SyncTarget, row: Pick<ObjectRow, 'name' | 'at'> & Partial<ObjectRow>, now_ms: number): Promise<void> {
  const to: ObjectName = { ...target, object: row.name }
  const there = env.CONTAINER.getByName(containerKey(target.account, target.container))
  const known = await there.object(row.name)
  if (known !== null && known.at >= row.at) return
  try {
    if (row.etag === undefined) {
      if (known === null) return
      await deleteReplicas(env, to, (await beginWrite(env, to)).info.policy, row.at, now_ms)
      await there.deleteObject(row.name, row.at)
      return
    }
    const opened = await openStored(env, { account: info.account, container: info.name, object: row.name }, true, now_ms)
    if (opened === null) return
    const { 'Content-Type': _, ...metadata } = opened.metadata
    const slo = sloOf(opened.metadata)
    await commitWrite(env, { ...(await beginWrite(env, to)), timestamp: row.at }, opened.size === 0 ? new Uint8Array() : bodyOf(await opened.open(null)), { metadata, content_type: opened.content_type, size: opened.size, etag: null, ...slo }, now_ms)
  } catch (error) {
    // Something newer is there: that is what both will have.
    if (!isSuperseded(error) && !isFault(error, 'conflict')) throw error
  } finally {
    forgetContainer(env, target.account, target.container)
  }
}
