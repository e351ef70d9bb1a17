/** Volume statuses as a table: which request is taken in which status, and what the status becomes. Pure. Words are upstream's (cinder/volume/api.py). */
import type { VolumeRow, VolumeStatus } from '../../../schema/project/volume.ts'
import { Fault } from '../../../schema/values/fault.ts'

export type VolumeRequest = 'delete' | 'extend' | 'extend_attached' | 'reserve' | 'reserve_more' | 'begin_detach' | 'upload' | 'upload_forced' | 'backup' | 'backup_forced' | 'restore' | 'transfer' | 'snapshot' | 'snapshot_forced' | 'clone' | 'retype' | 'revert'

const DELETABLE: VolumeStatus[] = ['available', 'error', 'error_restoring', 'error_extending', 'error_managing', 'error_deleting', 'error_backing-up']

/** `to` null: the status stays. */
const TABLE: Record<VolumeRequest, { from: readonly VolumeStatus[]; to: VolumeStatus | null }> = {
  delete: { from: DELETABLE, to: 'deleting' },
  extend: { from: ['available'], to: 'extending' },
  extend_attached: { from: ['available', 'in-use'], to: 'extending' },
  reserve: { from: ['available', 'downloading'], to: 'attaching' },
  reserve_more: { from: ['available', 'downloading', 'in-use'], to: null },
  begin_detach: { from: ['in-use'], to: 'detaching' },
  upload: { from: ['available'], to: 'uploading' },
  upload_forced: { from: ['available', 'in-use'], to: 'uploading' },
  backup: { from: ['available'], to: 'backing-up' },
  backup_forced: { from: ['available', 'in-use'], to: 'backing-up' },
  restore: { from: ['available'], to: 'restoring-backup' },
  transfer: { from: ['available'], to: 'awaiting-transfer' },
  snapshot: { from: ['available'], to: null },
  snapshot_forced: { from: ['available', 'in-use', 'backing-up'], to: null },
  clone: { from: ['available', 'in-use'], to: null },
  retype: { from: ['available', 'in-use'], to: null },
  revert: { from: ['available'], to: null },
}

/** Statuses that something under way must end: an outbox step or a watch with a deadline. */
export const TRANSIENT: ReadonlySet<VolumeStatus> = new Set(['creating', 'deleting', 'extending', 'uploading', 'backing-up', 'restoring-backup', 'downloading', 'retyping'])

export const STATUSES: readonly VolumeStatus[] = [
  'creating', 'available', 'reserved', 'attaching', 'detaching', 'in-use', 'maintenance', 'deleting', 'awaiting-transfer', 'error', 'error_deleting', 'backing-up', 'restoring-backup', 'error_backing-up', 'error_restoring', 'error_extending',
  'error_managing', 'downloading', 'uploading', 'retyping', 'extending',
]

const WORDS: Partial<Record<VolumeRequest, (row: VolumeRow, from: string) => string>> = {
  delete: () => 'Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have snapshots or be disassociated from snapshots after volume transfer.',
  reserve: (row) => `Invalid volume: Volume ${row.id} status must be available or downloading to reserve, but the current status is ${row.status}.`,
  begin_detach: (row) => `Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach. Currently: status: '${row.status}'.`,
  snapshot: (row) => `Invalid volume: Volume ${row.id} status must be available, but current status is: ${row.status}.`,
  transfer: () => 'Invalid volume: status must be available',
}

/** The new status, or 400 as upstream words it. */
export function accept(row: VolumeRow, request: VolumeRequest): VolumeStatus {
  const { from, to } = TABLE[request]
  if (from.includes(row.status)) return to ?? row.status
  const wanted = from.join(' or ')
  throw new Fault('bad_request', WORDS[request]?.(row, wanted) ?? `Invalid volume: Volume ${row.id} status must be ${wanted}, but current status is: ${row.status}.`, { type: 'InvalidVolume' })
}

export const isDeletable = (status: VolumeStatus): boolean => DELETABLE.includes(status)
