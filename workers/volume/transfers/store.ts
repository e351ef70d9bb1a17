/**
 * Giving a volume to another project. Two Project objects, no common transaction: the giver pins the taker at the first right key and from then on the volume can
 * only become the taker's; the taker writes it down together with its promise to finish; the giver forgets it when the taker has it. So the volume is never nowhere, and never
 * given twice. A taker that could not (quota) says so for good, which unpins it. Runs in the Project object, of either side.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { adoptions, type SnapshotRow, snapshots, type TransferRow, transfers, type VolumeRow, volumes } from '../../../schema/project/volume.ts'
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { projectTag, tagOf } from '../../../schema/values/ids.ts'
import { onProject } from '../../../durable-objects/kernel/sessions.ts'
import { push } from '../items.ts'
import { claimSize, claimVolume } from '../make.ts'
import { findVolume, readVolume, snapshotsOf, writeVolume } from '../rows.ts'
import { accept } from '../volumes/states.ts'

export interface TransferData extends Omit<TransferRow, 'salt' | 'key_hash'> {
  project_id: string
}

/** What changes hands. */
export interface Handover {
  volume: VolumeRow
  snapshots: SnapshotRow[]
  name: string | null
}

export const transferMissing = (id: string): Fault => new Fault('not_found', `Transfer ${id} could not be found.`)
const hashOf = (salt: string, key: string): string => createHash('sha256').update(`${salt}:${key}`).digest('hex')
const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')

export class TransfersStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): TransferData[] {
    return this.#deps.db.select().from(transfers).all().map((row) => this.#data(row))
  }

  get(id: string): TransferData {
    return this.#data(this.#read(id))
  }

  /** The key is shown once and kept as a hash. */
  create(volume_id: string, name: string | null, no_snapshots: boolean): { transfer: TransferData; auth_key: string } {
    const auth_key = hex(this.#deps.random.bytes(8))
    const row = this.#deps.commit(this.#caller, (tx) => {
      const volume = readVolume(this.#deps, volume_id)
      const status = accept(volume, 'transfer')
      if (volume.group_id !== null) throw new Fault('bad_request', `Invalid volume: Volume ${volume_id} belongs to group ${volume.group_id}.`)
      if (no_snapshots && snapshotsOf(this.#deps, volume_id).length > 0) throw new Fault('bad_request', `Invalid volume: Volume ${volume_id} has snapshots, which stay on its host.`)
      writeVolume(this.#deps, tx, volume, { status, previous_status: volume.status })
      const salt = hex(this.#deps.random.bytes(8))
      const made: TransferRow = { id: this.#deps.newId(), volume_id, name, salt, key_hash: hashOf(salt, auth_key), no_snapshots, taker_id: null, pinned_ms: null, accepted: false, created_ms: tx.now_ms }
      this.#deps.db.insert(transfers).values(made).run()
      tx.change('transfer', made.id, 'create', null, { id: made.id, volume_id })
      return made
    })
    return { transfer: this.#data(row), auth_key }
  }

  /** Cancels. Where a taker is pinned, it is asked first whether it has the volume. */
  async delete(id: string): Promise<void> {
    const row = this.#read(id)
    if (row.taker_id !== null && !row.accepted) {
      const refused = await this.#at(row.taker_id, (taker) => taker.refuse(id))
      if (!refused) throw new Fault('bad_request', `Invalid volume: the transfer ${id} was accepted and is being finished.`)
    }
    this.#deps.commit(this.#caller, (tx) => {
      const now = this.#read(id)
      this.#deps.db.delete(transfers).where(eq(transfers.id, id)).run()
      tx.change('transfer', id, 'delete', { id, volume_id: now.volume_id }, null)
      const volume = findVolume(this.#deps, now.volume_id)
      if (!now.accepted && volume !== undefined && volume.status === 'awaiting-transfer') writeVolume(this.#deps, tx, volume, { status: 'available', previous_status: null })
    })
  }

  // ---------------------------------------------------------------- the giver's side of an acceptance

  /** Pins the taker. Again by the same taker: the same answer. */
  pin(id: string, auth_key: string, taker_id: string): Handover {
    const row = this.#read(id)
    const [given, known] = [Buffer.from(hashOf(row.salt, auth_key)), Buffer.from(row.key_hash)]
    if (!timingSafeEqual(given, known)) throw new Fault('bad_request', 'Invalid auth key: Attempt to transfer with invalid auth key.', { type: 'InvalidAuthKey' })
    if (row.accepted) throw transferMissing(id)
    if (row.taker_id !== null && row.taker_id !== taker_id) throw new Fault('bad_request', 'Invalid volume: the transfer is being accepted by another project.')
    const volume = readVolume(this.#deps, row.volume_id)
    if (volume.status !== 'awaiting-transfer') throw new Fault('bad_request', `Invalid volume: Volume ${volume.id} is ${volume.status}, not awaiting-transfer.`)
    if (taker_id === this.#deps.name) throw new Fault('bad_request', 'Invalid volume: the volume is of this project already.')
    this.#deps.commit(this.#caller, () => void this.#deps.db.update(transfers).set({ taker_id, pinned_ms: this.#deps.clock.now_ms() }).where(eq(transfers.id, id)).run())
    return { volume, snapshots: snapshotsOf(this.#deps, volume.id), name: row.name }
  }

  unpin(id: string, taker_id: string): void {
    const row = this.#deps.db.select().from(transfers).where(eq(transfers.id, id)).get()
    if (row === undefined || row.taker_id !== taker_id || row.accepted) return
    this.#deps.commit(this.#caller, () => void this.#deps.db.update(transfers).set({ taker_id: null, pinned_ms: null }).where(eq(transfers.id, id)).run())
  }

  /** The taker has it: the rows go here. Repeatable. */
  handedOver(id: string, taker_id: string): void {
    const row = this.#deps.db.select().from(transfers).where(eq(transfers.id, id)).get()
    if (row === undefined || row.accepted || row.taker_id !== taker_id) return
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.delete(snapshots).where(eq(snapshots.volume_id, row.volume_id)).run()
      this.#deps.db.delete(volumes).where(eq(volumes.id, row.volume_id)).run()
      this.#deps.db.delete(transfers).where(eq(transfers.id, id)).run()
      tx.change('volume', row.volume_id, 'delete', { id: row.volume_id, transferred_to: taker_id }, null)
    })
  }

  // ---------------------------------------------------------------- the taker's side

  async accept(id: string, giver_id: string, auth_key: string, quota_defaults: Record<string, number>): Promise<{ id: string; volume_id: string; name: string | null }> {
    const adopted = this.#deps.db.select().from(adoptions).where(eq(adoptions.transfer_id, id)).get()
    if (adopted?.state === 'refused') throw transferMissing(id)
    const { volume, snapshots: kept, name } = await this.#at(giver_id, (giver) => giver.pin(id, auth_key, this.#deps.name))
    try {
      this.#adopt(id, giver_id, volume, kept, quota_defaults)
    } catch (error) {
      if (isFault(error)) await this.#at(giver_id, (giver) => giver.unpin(id, this.#deps.name))
      throw error
    }
    return { id, volume_id: volume.id, name }
  }

  #adopt(id: string, giver_id: string, volume: VolumeRow, kept: SnapshotRow[], quota_defaults: Record<string, number>): void {
    this.#deps.commit(this.#caller, (tx) => {
      const state = this.#deps.db.select().from(adoptions).where(eq(adoptions.transfer_id, id)).get()?.state
      if (state === 'refused') throw transferMissing(id)
      if (state === 'adopted') return
      claimSize(this.#deps, volume.size_gib)
      claimVolume(this.#deps, quota_defaults, { volumes: 1, gigabytes: volume.size_gib + kept.reduce((sum, snapshot) => sum + snapshot.size_gib, 0), snapshots: kept.length, type: volume.volume_type })
      const row: VolumeRow = { ...volume, status: 'available', previous_status: null, user_id: this.#caller.user_id, generation: volume.generation + 1, foreign_id: tagOf(volume.id) !== projectTag(this.#deps.name), group_id: null, updated_ms: tx.now_ms }
      this.#deps.db.insert(volumes).values(row).run()
      for (const snapshot of kept) this.#deps.db.insert(snapshots).values({ ...snapshot, user_id: this.#caller.user_id, generation: snapshot.generation + 1, group_snapshot_id: null }).run()
      this.#deps.db.insert(adoptions).values({ transfer_id: id, state: 'adopted', at_ms: tx.now_ms }).run()
      tx.change('volume', row.id, 'create', null, { id: row.id, transferred_from: giver_id })
      if (row.host_id !== null) {
        push(tx, row.id, { host_id: row.host_id, kind: 'volume', id: row.id })
        for (const snapshot of kept) push(tx, row.id, { host_id: row.host_id, kind: 'snapshot', id: snapshot.id })
      }
      tx.outbox('volume.transfer_finish', { id, giver_id, volume_id: row.id, foreign_id: row.foreign_id }, { key: `transfer-${id}` })
    })
  }

  /** True: this project does not have the volume and never will by this transfer. */
  refuse(id: string): boolean {
    return this.#deps.commit(this.#caller, (tx) => {
      const known = this.#deps.db.select().from(adoptions).where(eq(adoptions.transfer_id, id)).get()
      if (known === undefined) this.#deps.db.insert(adoptions).values({ transfer_id: id, state: 'refused', at_ms: tx.now_ms }).run()
      return known?.state !== 'adopted'
    })
  }

  #at<T>(projectId: string, work: (peer: Remote<TransfersStore>) => Promise<T>): Promise<T> {
    return onProject(this.#deps.env, projectId, this.#caller.request_id, (project) => work(project.volume.transfers as Remote<TransfersStore>))
  }

  #read(id: string): TransferRow {
    const row = this.#deps.db.select().from(transfers).where(eq(transfers.id, id)).get()
    if (row === undefined) throw transferMissing(id)
    return row
  }

  #data({ salt: _salt, key_hash: _hash, ...row }: TransferRow): TransferData {
    return { ...row, project_id: this.#deps.name }
  }
}
