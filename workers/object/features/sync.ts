/**
 * Container sync inside this cloud (with others: sync-send.ts): what is written to one container is written to another with the same time (swift/container/sync.py). Both owners say so by giving
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
import { beginWrite, commitWrite, isSuperseded } from '../object/write.ts'
import { deleteReplicas } from '../replicas.ts'
import type { SyncTarget } from './sync-realms.ts'

/** Whether the other side agreed: it exists and has the same secret. */
export async function syncAgreed(env: Env, info: ContainerInfo, target: SyncTarget): Promise<boolean> {
  const other = await env.CONTAINER.getByName(containerKey(target.account, target.container)).info()
  const key = info.metadata['x-container-sync-key']
  return other !== null && key !== undefined && key !== '' && other.metadata['x-container-sync-key'] === key
}

/** Copies one row, or its deletion (a row without data), unless the target has it or something newer. */
export async function syncRow(env: Env, info: ContainerInfo, target: SyncTarget, row: Pick<ObjectRow, 'name' | 'at'> & Partial<ObjectRow>, now_ms: number): Promise<void> {
  const to: ObjectName = { account: target.account, container: target.container, object: row.name }
  const there = env.CONTAINER.getByName(containerKey(target.account, target.container))
  const known = await there.object(row.name)
  if (known !== null && known.modified_at >= (row.modified_at ?? row.at)) return
  try {
    if (row.etag === undefined) {
      if (known === null) return
      await deleteReplicas(env, to, (await beginWrite(env, to)).info.policy, row.at, now_ms)
      await there.deleteObject(row.name, row.at)
      return
    }
    const opened = await openStored(env, { account: info.account, container: info.name, object: row.name }, true, now_ms)
    if (opened === null) return
    // The disks that answered are behind the listing: older bytes must not get this time.
    if (opened.timestamp < row.at) throw swiftFault(503)
    const { 'Content-Type': _, ...metadata } = opened.metadata
    const slo = sloOf(opened.metadata)
    await commitWrite(env, { ...(await beginWrite(env, to)), timestamp: opened.timestamp }, opened.size === 0 ? new Uint8Array() : bodyOf(await opened.open(null)), { metadata, content_type: opened.content_type, size: opened.size, etag: null, ...slo }, now_ms)
  } catch (error) {
    // Something newer is there: that is what both will have.
    if (!isSuperseded(error) && !isFault(error, 'conflict')) throw error
  } finally {
    forgetContainer(env, target.account, target.container)
  }
}
