/** Backups of one project's volumes: whole copies as objects in the tenant's own Swift account. Runs in the Project object. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type BackupRow, type BackupStatus, backups } from '../../../schema/project/volume.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { makeVolume } from '../make.ts'
import { readBackup, readSnapshot, readVolume, writeBackup, writeSnapshot, writeVolume } from '../rows.ts'
import { accept } from '../volumes/states.ts'

export const CONTAINER_DEFAULT = 'volumebackups'
export const BACKUP_SERVICE = 'cinder.backup.drivers.swift.SwiftBackupDriver'

export interface BackupData extends BackupRow {
  project_id: string
}

/** All that is needed to take a backup back in after its record was lost. */
export interface BackupRecord extends Omit<BackupRow, 'status' | 'restore_volume_id'> {
  project_id: string
}

export class BackupsStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): BackupData[] {
    return this.#deps.db.select().from(backups).all().map((row) => this.#data(row))
  }

  get(id: string): BackupData {
    return this.#data(readBackup(this.#deps, id))
  }

  create(spec: { volume_id: string; snapshot_id: string | null; name: string | null; description: string | null; container: string | null; metadata: Record<string, string>; force: boolean; incremental: boolean }): BackupData {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const volume = readVolume(this.#deps, spec.volume_id)
      const snapshot = spec.snapshot_id === null ? null : readSnapshot(this.#deps, spec.snapshot_id)
      if (spec.incremental && !this.list().some((backup) => backup.volume_id === volume.id && backup.status === 'available')) throw new Fault('bad_request', 'Invalid backup: No backups available to do an incremental backup.')
      this.#claim(volume.size_gib)
      if (snapshot !== null) {
        if (snapshot.volume_id !== volume.id) throw new Fault('bad_request', `Invalid snapshot: Snapshot ${snapshot.id} is not of volume ${volume.id}.`)
        if (snapshot.status !== 'available') throw new Fault('bad_request', `Invalid snapshot: Snapshot to be backed up must be available, but the current status is "${snapshot.status}".`)
        writeSnapshot(this.#deps, tx, snapshot, { status: 'backing-up' })
      } else {
        if (volume.status === 'in-use' && !spec.force) throw new Fault('bad_request', `Invalid volume: Backing up an in-use volume must use the force flag.`)
        writeVolume(this.#deps, tx, volume, { status: accept(volume, spec.force ? 'backup_forced' : 'backup'), previous_status: volume.status })
      }
      const id = this.#deps.newId()
      const made: BackupRow = {
        id, volume_id: volume.id, snapshot_id: spec.snapshot_id, name: spec.name, description: spec.description, status: 'creating', container: spec.container ?? CONTAINER_DEFAULT,
        object: `volume_${volume.id}/${new Date(tx.now_ms).toISOString().replace(/[^0-9]/g, '').slice(0, 14)}/az_${volume.availability_zone}_backup_${id}`, size_gib: volume.size_gib, size_bytes: null, sha512: null,
        availability_zone: volume.availability_zone, metadata: spec.metadata, volume_data: { metadata: volume.metadata, bootable: volume.bootable, image_metadata: volume.image_metadata ?? null }, restore_volume_id: null, fail_reason: null,
        user_id: this.#caller.user_id, account: '', data_ms: snapshot?.created_ms ?? tx.now_ms, created_ms: tx.now_ms, updated_ms: null,
      }
      this.#deps.db.insert(backups).values(made).run()
      tx.change('backup', id, 'create', null, { id, volume_id: volume.id, name: made.name })
      tx.outbox('volume.backup', { id, volume_id: volume.id }, { key: `backup-${id}` })
      return made
    })
    return this.#data(row)
  }

  update(id: string, change: Partial<Pick<BackupRow, 'name' | 'description' | 'metadata'>>): BackupData {
    return this.#data(this.#deps.commit(this.#caller, (tx) => writeBackup(this.#deps, tx, readBackup(this.#deps, id), change)))
  }

  /** Into the given volume, or into a new one that is restored as soon as it is there. */
  restore(id: string, request: { volume_id: string | null; name: string | null; quota_defaults: Record<string, number> }): { backup_id: string; volume_id: string; volume_name: string } {
    return this.#deps.commit(this.#caller, (tx) => {
      const backup = readBackup(this.#deps, id)
      if (backup.status !== 'available') throw new Fault('bad_request', `Invalid backup: Backup status must be available`)
      if (request.volume_id === null) {
        const volume = makeVolume(this.#deps, tx, this.#caller, {
          name: request.name ?? `restore_backup_${id}`, description: null, size_gib: backup.size_gib, type: null, availability_zone: null, metadata: {}, multiattach: false, source: null, snapshot_id: null, source_volid: null, bootable: false,
          image_metadata: null, scheduler_hints: null, restore_backup_id: id,
        }, request.quota_defaults)
        writeBackup(this.#deps, tx, backup, { status: 'restoring', restore_volume_id: volume.id })
        return { backup_id: id, volume_id: volume.id, volume_name: volume.name ?? '' }
      }
      const volume = readVolume(this.#deps, request.volume_id)
      const status = accept(volume, 'restore')
      if (volume.size_gib < backup.size_gib) throw new Fault('bad_request', `Invalid volume: volume size ${volume.size_gib} is too small to restore backup of size ${backup.size_gib}.`)
      writeVolume(this.#deps, tx, volume, { status, previous_status: volume.status })
      writeBackup(this.#deps, tx, backup, { status: 'restoring', restore_volume_id: volume.id })
      tx.outbox('volume.restore', { backup_id: id, volume_id: volume.id }, { key: `backup-${id}` })
      return { backup_id: id, volume_id: volume.id, volume_name: volume.name ?? '' }
    })
  }

  delete(id: string, force: boolean): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = readBackup(this.#deps, id)
      if (!force && row.status !== 'available' && row.status !== 'error' && row.status !== 'error_deleting') throw new Fault('bad_request', 'Invalid backup: Backup status must be available or error')
      writeBackup(this.#deps, tx, row, { status: 'deleting' })
      tx.outbox('volume.backup_delete', { id }, { key: `backup-${id}` })
    })
  }

  resetStatus(id: string, status: string): void {
    if (status !== 'available' && status !== 'error') throw new Fault('bad_request', `Invalid input for field/attribute status. Value: ${status}. '${status}' is not one of ['available', 'error']`)
    this.#deps.commit(this.#caller, (tx) => writeBackup(this.#deps, tx, readBackup(this.#deps, id), { status: status as BackupStatus }))
  }

  exportRecord(id: string): BackupRecord {
    const { status, restore_volume_id: _restore, ...backup } = readBackup(this.#deps, id)
    if (status !== 'available') throw new Fault('bad_request', `Invalid backup: Backup status must be available and not ${status}.`)
    return { ...backup, project_id: this.#deps.name }
  }

  /** A record made by exportRecord, taken into this project: the object stays whose it was. */
  importRecord(record: BackupRecord): BackupData {
    const { project_id, ...given } = record
    const known = this.#deps.db.select().from(backups).where(eq(backups.id, given.id)).get()
    if (known !== undefined) throw new Fault('bad_request', 'Invalid backup: Backup already exists in database.')
    const row: BackupRow = { ...given, account: given.account || (project_id === this.#deps.name ? '' : `AUTH_${project_id}`), status: 'available', restore_volume_id: null }
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.insert(backups).values(row).run()
      tx.change('backup', row.id, 'create', null, { id: row.id, imported: true })
    })
    return this.#data(row)
  }

  #claim(size_gib: number): void {
    peersOf(this.#deps).quotas.claim('volume', this.#deps.db, { backups: 1, backup_gigabytes: size_gib }, (over) => {
      const first = over[0]
      return first?.resource === 'backups'
        ? new Fault('over_quota', `Maximum number of backups allowed (${first.limit}) exceeded`, { type: 'BackupLimitExceeded' })
        : new Fault('over_quota', `Requested backup exceeds allowed Backup gigabytes quota. Requested ${first?.requested}G, quota is ${first?.limit}G and ${first?.used}G has been consumed.`, { type: 'VolumeBackupSizeExceedsAvailableQuota' })
    })
  }

  #data(row: BackupRow): BackupData {
    return { ...row, project_id: this.#deps.name }
  }
}
