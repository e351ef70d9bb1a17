/** Rows of volumes that servers have or are about to have. */
import { and, eq } from 'drizzle-orm'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import { type ServerVolumeRow, serverVolumes } from '../../../schema/project/compute.ts'

const where = (volume: Pick<ServerVolumeRow, 'server_id' | 'volume_id'>) => and(eq(serverVolumes.server_id, volume.server_id), eq(serverVolumes.volume_id, volume.volume_id))

export const setVolume = (tx: Tx, volume: ServerVolumeRow, change: Partial<ServerVolumeRow>): void => void tx.db.update(serverVolumes).set(change).where(where(volume)).run()
export const dropVolume = (tx: Tx, volume: ServerVolumeRow): void => void tx.db.delete(serverVolumes).where(where(volume)).run()
export const addVolume = (tx: Tx, volume: ServerVolumeRow): void => void tx.db.insert(serverVolumes).values(volume).run()

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'

/** The next free /dev/vdX; vda is the root's. */
export function nextDevice(taken: readonly string[], rootTaken: boolean): string {
  const used = new Set([...taken, ...(rootTaken ? ['/dev/vda'] : [])])
  for (const prefix of ['', ...LETTERS]) for (const letter of LETTERS) if (!used.has(`/dev/vd${prefix}${letter}`)) return `/dev/vd${prefix}${letter}`
  throw new Error('no device name is free')
}
