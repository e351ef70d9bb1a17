/**
 * Copies of whole volumes, done by their host as commands: to an image, to a backup object, and back. The command's id is fixed by what it is for, so that a
 * repeated step asks for the same work and not for more.
 */
import { eq } from 'drizzle-orm'
import type { CommandArgs, CommandName, CommandResults } from '../../schema/agent/commands.ts'
import { type BackupRow, backups } from '../../schema/project/volume.ts'
import { systemCaller } from '../../schema/values/caller.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks, TaskEntry } from '../../durable-objects/kernel/outbox.ts'
import { onProject } from '../../durable-objects/kernel/sessions.ts'
import { deleteInternal } from '../object/internal.ts'
import { EVENTS, findBackup, findSnapshot, findVolume, tell, writeBackup, writeSnapshot, writeVolume } from './rows.ts'

/** A whole volume over a thin link takes its time. */
export const COPY_DEADLINE_MS = 2 * 3_600_000
const DAY_MS = 24 * 3_600_000

/** One id for all attempts: what the host has done already while the link was down is not done again. */
async function command<C extends CommandName>(deps: Deps, hostId: string, name: C, args: CommandArgs[C], entry: TaskEntry): Promise<CommandResults[C]> {
  try {
    return (await deps.env.HOST.getByName(hostId).command(name, args, { id: `${deps.name}-${name}-${entry.id}`, deadline_ms: entry.deadline_ms })) as CommandResults[C]
  } catch (error) {
    // A host that is away may come back before the deadline; one that says no twice means it.
    if (isFault(error) && !AWAY.has(error.kind) && entry.attempts >= 1) throw new Fault('unprocessable', error.message)
    throw error
  }
}

const AWAY = new Set(['unavailable', 'timeout', 'bad_gateway', 'rate_limited'])

/** Swift account of a backup's object. */
const accountOf = (deps: Deps, backup: BackupRow): string => backup.account || `AUTH_${deps.name}`

interface UploadPayload {
  volume_id: string
  image_id: string
  disk_format: string
}

async function upload(deps: Deps, { volume_id, image_id, disk_format }: UploadPayload, entry: TaskEntry): Promise<void> {
  const row = findVolume(deps, volume_id)
  if (row === undefined || row.status !== 'uploading' || row.host_id === null) return
  const { path } = await deps.env.HOST.getByName(row.host_id).grantTransfer({ method: 'PUT', kind: 'image', image_id, project_id: deps.name, request_id: entry.request_id })
  await command(deps, row.host_id, 'volume.upload', { volume_id, snapshot_id: null, disk_format, transfer_path: path }, entry)
  endUpload(deps, volume_id, null, entry.request_id)
}

function endUpload(deps: Deps, volume_id: string, error: string | null, request_id: string): void {
  const row = findVolume(deps, volume_id)
  if (row === undefined || row.status !== 'uploading') return
  deps.commit(systemCaller(request_id), (tx) => {
    if (error !== null) tell(deps, tx, request_id, 'VOLUME', row.id, EVENTS.upload(error))
    writeVolume(deps, tx, row, { status: row.previous_status ?? 'available', previous_status: null })
  })
}

async function backUp(deps: Deps, { id }: { id: string }, entry: TaskEntry): Promise<void> {
  const backup = findBackup(deps, id)
  const volume = backup === undefined ? undefined : findVolume(deps, backup.volume_id)
  if (backup === undefined || backup.status !== 'creating') return
  if (volume === undefined || volume.host_id === null) return endBackup(deps, id, 'the volume is gone', null, entry.request_id)
  const { path } = await deps.env.HOST.getByName(volume.host_id).grantTransfer({ method: 'PUT', kind: 'object', account: accountOf(deps, backup), container: backup.container, object: backup.object, project_id: deps.name, request_id: entry.request_id })
  const result = await command(deps, volume.host_id, 'volume.upload', { volume_id: backup.volume_id, snapshot_id: backup.snapshot_id, disk_format: 'raw', transfer_path: path }, entry)
  endBackup(deps, id, null, result, entry.request_id)
}

function endBackup(deps: Deps, id: string, error: string | null, result: { size_bytes: number; sha512: string } | null, request_id: string): void {
  const backup = findBackup(deps, id)
  if (backup === undefined || backup.status !== 'creating') return
  deps.commit(systemCaller(request_id), (tx) => {
    writeBackup(deps, tx, backup, error === null ? { status: 'available', size_bytes: result?.size_bytes ?? null, sha512: result?.sha512 ?? null } : { status: 'error', fail_reason: error })
    if (error !== null) tell(deps, tx, request_id, 'VOLUME_BACKUP', id, EVENTS.backup(error))
    const volume = findVolume(deps, backup.volume_id)
    if (volume !== undefined && volume.status === 'backing-up') writeVolume(deps, tx, volume, { status: volume.previous_status ?? 'available', previous_status: null })
    const snapshot = backup.snapshot_id === null ? undefined : findSnapshot(deps, backup.snapshot_id)
    if (snapshot !== undefined && snapshot.status === 'backing-up') writeSnapshot(deps, tx, snapshot, { status: 'available' })
  })
}

interface RestorePayload {
  backup_id: string
  volume_id: string
}

async function restore(deps: Deps, { backup_id, volume_id }: RestorePayload, entry: TaskEntry): Promise<void> {
  const [backup, volume] = [findBackup(deps, backup_id), findVolume(deps, volume_id)]
  if (backup === undefined || volume === undefined || volume.status !== 'restoring-backup' || volume.host_id === null) return
  const { path } = await deps.env.HOST.getByName(volume.host_id).grantTransfer({ method: 'GET', kind: 'object', account: accountOf(deps, backup), container: backup.container, object: backup.object, project_id: deps.name, request_id: entry.request_id })
  await command(deps, volume.host_id, 'volume.restore', { volume_id, transfer_path: path }, entry)
  endRestore(deps, { backup_id, volume_id }, null, entry.request_id)
}

/** The volume gets its metadata back with its bytes; the backup is free for another restore. */
export function endRestore(deps: Deps, { backup_id, volume_id }: RestorePayload, error: string | null, request_id: string): void {
  const [backup, volume] = [findBackup(deps, backup_id), findVolume(deps, volume_id)]
  deps.commit(systemCaller(request_id), (tx) => {
    if (volume !== undefined && volume.status === 'restoring-backup') {
      const data = backup?.volume_data
      if (error !== null) tell(deps, tx, request_id, 'VOLUME', volume.id, EVENTS.restore(error))
      writeVolume(deps, tx, volume, {
        status: error === null ? 'available' : 'error_restoring', previous_status: null, restore_backup_id: null,
        ...(error === null && data !== undefined ? { metadata: { ...volume.metadata, ...data.metadata }, bootable: volume.bootable || data.bootable, image_metadata: data.image_metadata ?? volume.image_metadata } : {}),
      })
    }
    if (backup !== undefined && backup.status === 'restoring') writeBackup(deps, tx, backup, { status: 'available', restore_volume_id: null })
  })
}

async function deleteBackup(deps: Deps, { id }: { id: string }, entry: TaskEntry): Promise<void> {
  const backup = findBackup(deps, id)
  if (backup === undefined || backup.status !== 'deleting') return
  try {
    await deleteInternal(deps.env, accountOf(deps, backup), backup.container, backup.object)
  } catch (error) {
    if (!isFault(error, 'not_found')) throw error
  }
  deps.commit(systemCaller(entry.request_id), (tx) => {
    deps.db.delete(backups).where(eq(backups.id, id)).run()
    tx.change('backup', id, 'delete', { id, volume_id: backup.volume_id }, null)
  })
}

export const copyTasks: Tasks<Deps> = {
  'volume.upload': {
    run: upload,
    expire: async (deps, payload: UploadPayload, error, entry) => {
      endUpload(deps, payload.volume_id, error, entry.request_id)
      await onProject(deps.env, deps.name, entry.request_id, (project) => project.image.images.delete(payload.image_id)).catch((problem: unknown) => {
        if (!isFault(problem, 'not_found')) throw problem
      })
    },
    deadline_ms: COPY_DEADLINE_MS,
  },
  'volume.backup': { run: backUp, expire: (deps, { id }: { id: string }, error, entry) => endBackup(deps, id, error, null, entry.request_id), deadline_ms: COPY_DEADLINE_MS },
  'volume.restore': { run: restore, expire: (deps, payload: RestorePayload, error, entry) => endRestore(deps, payload, error, entry.request_id), deadline_ms: COPY_DEADLINE_MS },
  'volume.backup_delete': {
    run: deleteBackup,
    expire: (deps, { id }: { id: string }, error, entry) => {
      const backup = findBackup(deps, id)
      if (backup !== undefined && backup.status === 'deleting') deps.commit(systemCaller(entry.request_id), (tx) => writeBackup(deps, tx, backup, { status: 'error_deleting', fail_reason: error }))
    },
    deadline_ms: DAY_MS,
  },
}
