/** Images of one project: rows, their statuses and what others are told of them. Runs in the Project object; bytes never pass here. */
import { RpcTarget } from 'cloudflare:workers'
import { and, eq } from 'drizzle-orm'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import { type ImageLocation, type ImageMember, type ImageRow, type ImageTask, images, type Measured, type MemberStatus, type Visibility } from '../../../schema/project/image.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { projectTag, tagOf } from '../../../schema/values/ids.ts'
import { publishImage } from '../publish.ts'
import { applyPatch, type PatchOp } from './patch.ts'
import { MEMBERS_MAX, TAGS_MAX } from './requests.ts'
import { TRANSIENT, transition } from './states.ts'
import type { ImageData } from './views.ts'

/** An upload whose sender is silent for this long is over. */
export const UPLOAD_LEASE_MS = 5 * 60_000

export interface ImageSpec {
  id?: string
  name: string | null
  visibility: Visibility
  protected: boolean
  hidden: boolean
  container_format: string | null
  disk_format: string | null
  min_disk_gib: number
  min_ram_mib: number
  properties: Record<string, string>
  tags: string[]
}

export const missing = (id: string): Fault => new Fault('not_found', `No image found with ID ${id}`)

export const dataOf = (deps: Deps, row: ImageRow): ImageData => {
  const { staged: _staged, upload_id: _upload, upload_seen_ms: _seen, ...shown } = row
  return { ...shown, owner: deps.name }
}

export function readImage(deps: Deps, id: string): ImageRow {
  const row = deps.db.select().from(images).where(eq(images.id, id)).get()
  if (row === undefined) throw missing(id)
  return row
}

/** Every change of a row goes through here: the change log, and the directory where others see the image. */
export function writeImage(deps: Deps, tx: Tx, row: ImageRow, changes: Partial<ImageRow>): ImageRow {
  const next: ImageRow = { ...row, ...changes, updated_ms: tx.now_ms }
  const listed = next.visibility === 'public' || next.visibility === 'community' || (next.visibility === 'shared' && next.members.length > 0)
  next.published = row.published || listed
  deps.db.update(images).set(next).where(eq(images.id, row.id)).run()
  tx.change('image', row.id, 'update', changed(row, changes), changes)
  if (next.published) tx.outbox('image.publish', { id: row.id }, { key: `image-publish-${row.id}`, delay_ms: PUBLISH_DELAY_MS })
  return next
}

/** The handler's own publishing comes first; the outbox only makes sure of it. */
const PUBLISH_DELAY_MS = 1_000
const changed = (row: ImageRow, changes: Partial<ImageRow>) => Object.fromEntries(Object.keys(changes).map((key) => [key, row[key as keyof ImageRow]]))

/** A new row, queued. Also for Nova's and Cinder's images of servers and volumes. Same id and project again: the same row. */
export function queueImage(deps: Deps, tx: Tx, spec: ImageSpec): ImageRow {
  const id = spec.id ?? deps.newId()
  const quotas = peersOf(deps).quotas
  quotas.claim('image', deps.db, { image_count_total: 1 }, (over) => new Fault('over_quota', `Project ${deps.name} is over a limit for [Resource image_count_total is over limit of ${over[0]?.limit} due to current usage ${over[0]?.used} and delta 1]`))
  const row: ImageRow = {
    ...spec, id, tags: [...new Set(spec.tags)], status: 'queued', size_bytes: null, virtual_size_bytes: null, checksum: null, sha512: null, locations: [], staged: null, upload_id: null, upload_seen_ms: null, members: [], tasks: [],
    foreign_id: tagOf(id) !== projectTag(deps.name), published: spec.visibility === 'public' || spec.visibility === 'community', created_ms: tx.now_ms, updated_ms: tx.now_ms,
  }
  deps.db.insert(images).values(row).run()
  tx.change('image', id, 'create', null, { id, name: row.name, visibility: row.visibility })
  if (row.published || row.foreign_id) tx.outbox('image.publish', { id }, { key: `image-publish-${id}`, delay_ms: PUBLISH_DELAY_MS })
  return row
}

export class ImagesStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): ImageData[] {
    return this.#deps.db.select().from(images).all().map((row) => dataOf(this.#deps, row))
  }

  get(id: string): ImageData {
    return dataOf(this.#deps, readImage(this.#deps, id))
  }

  has(id: string): boolean {
    return this.#deps.db.select({ id: images.id }).from(images).where(eq(images.id, id)).get() !== undefined
  }

  async create(spec: ImageSpec): Promise<ImageData> {
    if (spec.id !== undefined && this.has(spec.id)) throw new Fault('conflict', `Image ID ${spec.id} already exists!`)
    const row = this.#deps.commit(this.#caller, (tx) => queueImage(this.#deps, tx, spec))
    await this.#publish(row)
    return dataOf(this.#deps, row)
  }

  /** For Nova and Cinder: as create, and harmless when repeated with the same id. */
  createQueued(spec: ImageSpec & { id: string }): ImageData {
    if (this.has(spec.id)) return this.get(spec.id)
    return dataOf(this.#deps, this.#deps.commit(this.#caller, (tx) => queueImage(this.#deps, tx, spec)))
  }

  async patch(id: string, ops: PatchOp[]): Promise<ImageData> {
    return dataOf(this.#deps, await this.#update(id, (row) => applyPatch(row, ops)))
  }

  async addTag(id: string, tag: string): Promise<void> {
    await this.#update(id, (row) => {
      const tags = [...new Set([...row.tags, tag])]
      if (tags.length > TAGS_MAX) throw new Fault('too_large', `The limit has been exceeded on the number of allowed image tags. Attempted: ${tags.length}, Maximum: ${TAGS_MAX}`)
      return { tags }
    })
  }

  async deleteTag(id: string, tag: string): Promise<void> {
    await this.#update(id, (row) => {
      if (!row.tags.includes(tag)) throw new Fault('not_found', `Failed to find tag '${tag}' of image ${id}.`)
      return { tags: row.tags.filter((other) => other !== tag) }
    })
  }

  async setActive(id: string, active: boolean): Promise<void> {
    await this.#update(id, (row) => ({ status: transition(row.status, active ? 'reactivate' : 'deactivate') }))
  }

  async delete(id: string): Promise<void> {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const found = readImage(this.#deps, id)
      if (found.protected) throw new Fault('forbidden', `Image ${id} is protected and cannot be deleted.`)
      if (found.status === 'importing') throw new Fault('conflict', `Image ${id} is being imported.`)
      removeImage(this.#deps, tx, found)
      return found
    })
    if (row.published || row.foreign_id) await publishImage(this.#deps, row.id).catch(() => {})
  }

  /** Takes the image away from one store. */
  async deleteFromStore(id: string, store: string): Promise<void> {
    await this.#update(id, (row, tx) => {
      const gone = row.locations.filter((location) => location.store === store)
      if (gone.length === 0) throw new Fault('not_found', `Image ${id} is not stored on store ${store}.`)
      if (row.protected) throw new Fault('forbidden', `Image ${id} is protected and cannot be deleted.`)
      if (gone.length === row.locations.length) throw new Fault('forbidden', `Cannot delete the last copy of image ${id}.`)
      for (const location of gone) tx.outbox('image.delete_bytes', { location })
      return { locations: row.locations.filter((location) => location.store !== store) }
    })
  }

  // ---------------------------------------------------------------- members

  async addMember(id: string, member_id: string): Promise<ImageMember> {
    const row = await this.#update(id, (found, tx) => {
      if (found.members.some((member) => member.member_id === member_id)) throw new Fault('conflict', `Image member ${member_id} already exists for image ${id}`)
      if (found.members.length >= MEMBERS_MAX) throw new Fault('too_large', `The limit has been exceeded on the number of allowed image members for this image. Attempted: ${found.members.length + 1}, Maximum: ${MEMBERS_MAX}`)
      return { members: [...found.members, { member_id, status: 'pending' as const, created_ms: tx.now_ms, updated_ms: tx.now_ms }] }
    })
    return member(row, member_id)
  }

  async setMember(id: string, member_id: string, status: MemberStatus): Promise<ImageMember> {
    const row = await this.#update(id, (found, tx) => {
      member(found, member_id)
      return { members: found.members.map((entry) => (entry.member_id === member_id ? { ...entry, status, updated_ms: tx.now_ms } : entry)) }
    })
    return member(row, member_id)
  }

  async deleteMember(id: string, member_id: string): Promise<void> {
    await this.#update(id, (found) => {
      member(found, member_id)
      return { members: found.members.filter((entry) => entry.member_id !== member_id) }
    })
  }

  // ---------------------------------------------------------------- bytes

  /** queued -> saving, with the name that the bytes get in that store. The lease ends the upload where its sender vanished, and takes the bytes away. */
  beginUpload(id: string, purpose: 'upload' | 'stage', place: Omit<ImageLocation, 'name'>): { upload_id: string; location: ImageLocation } {
    return this.#deps.commit(this.#caller, (tx) => {
      const row = readImage(this.#deps, id)
      const status = transition(row.status, purpose)
      if (row.disk_format === null || row.container_format === null) throw new Fault('bad_request', 'Properties disk_format, container_format must be set prior to saving data.')
      claimBytes(this.#deps, 0)
      const upload_id = this.#deps.ids.uuid()
      writeImage(this.#deps, tx, row, { status, upload_id, upload_seen_ms: tx.now_ms })
      const location = { ...place, name: `${id}-${upload_id.slice(0, 8)}` }
      tx.outbox('image.upload_watch', { id, upload_id, location }, { delay_ms: UPLOAD_LEASE_MS, deadline_ms: UPLOAD_LEASE_MS * 4 })
      return { upload_id, location }
    })
  }

  uploadAlive(id: string, upload_id: string): boolean {
    return this.#deps.db.update(images).set({ upload_seen_ms: this.#deps.clock.now_ms() }).where(and(eq(images.id, id), eq(images.upload_id, upload_id))).returning({ id: images.id }).all().length > 0
  }

  /** The bytes are there and were found good. Fault gone where this upload is over (deleted, or its lease ended): the sender then deletes the bytes. */
  async finishUpload(id: string, upload_id: string, location: ImageLocation, measured: Measured): Promise<ImageData> {
    const done = this.#deps.db.select().from(images).where(eq(images.id, id)).get()
    if (done?.status === 'active' && done.locations.some((known) => known.name === location.name)) return dataOf(this.#deps, done)
    const row = await this.#update(id, (found) => {
      if (found.upload_id !== upload_id) throw new Fault('gone', `Image ${id} could not be found after upload. The image may have been deleted during the upload.`)
      claimBytes(this.#deps, measured.size_bytes)
      return { ...measuredColumns(measured), status: transition(found.status, 'upload_done'), locations: [location], upload_id: null, upload_seen_ms: null }
    })
    return dataOf(this.#deps, row)
  }

  finishStage(id: string, upload_id: string, location: ImageLocation, measured: Measured): void {
    this.#deps.commit(this.#caller, (tx) => {
      const row = readImage(this.#deps, id)
      if (row.status === 'uploading' && row.staged?.location.name === location.name) return
      if (row.upload_id !== upload_id) throw new Fault('gone', `Image ${id} could not be found after upload. The image may have been deleted during the upload.`)
      claimBytes(this.#deps, measured.size_bytes)
      writeImage(this.#deps, tx, row, { status: transition(row.status, 'stage_done'), staged: { location, measured }, upload_id: null, upload_seen_ms: null, size_bytes: measured.size_bytes })
    })
  }

  /** True where no image has the bytes: the sender may delete them. */
  failUpload(id: string, upload_id: string, location: ImageLocation): boolean {
    endUpload(this.#deps, this.#caller, id, upload_id)
    const row = this.#deps.db.select().from(images).where(eq(images.id, id)).get()
    return row === undefined || !hasBytes(row, location)
  }

  /** glance-direct: what is staged becomes the image; copy-image: more stores get it. Carried out by the outbox. */
  import(id: string, request: { method: 'glance-direct' | 'copy-image'; stores: string[]; all_stores_must_succeed: boolean; input: unknown }): ImageData {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const found = readImage(this.#deps, id)
      if (found.tasks.some((task) => task.status === 'pending' || task.status === 'processing')) throw new Fault('conflict', `Import operation is already in progress for image ${id}.`)
      const task: ImageTask = {
        id: this.#deps.newId(), status: 'processing', method: request.method, input: request.input, stores: request.stores, message: '', request_id: this.#caller.request_id, user_id: this.#caller.user_id, created_ms: tx.now_ms, updated_ms: tx.now_ms,
      }
      if (request.method === 'glance-direct' && found.staged === null) throw new Fault('conflict', found.status === 'queued' ? "Image needs to be staged before 'glance-direct' method can be used" : `Image status transition from ${found.status} to importing is not allowed`)
      if (request.method === 'copy-image' && found.status !== 'active') throw new Fault('conflict', `Only images with status active can be targeted for copying`)
      tx.outbox('image.import', { id, task_id: task.id, all_stores_must_succeed: request.all_stores_must_succeed }, { key: `image-import-${id}` })
      return writeImage(this.#deps, tx, found, { status: request.method === 'glance-direct' ? transition(found.status, 'import') : found.status, tasks: [...found.tasks.slice(-TASKS_KEPT), task] })
    })
    return dataOf(this.#deps, row)
  }

  // ---------------------------------------------------------------- moving to another owner

  /** For an admin's change of owner: the row, to be taken in by the new owner's project before it is dropped here. */
  release(id: string): ImageRow {
    const row = readImage(this.#deps, id)
    if (TRANSIENT.has(row.status)) throw new Fault('conflict', `Image ${id} is ${row.status}; its owner can't be changed now.`)
    return row
  }

  async adopt(row: ImageRow): Promise<void> {
    if (!this.has(row.id)) {
      this.#deps.commit(this.#caller, (tx) => {
        this.#deps.db.insert(images).values({ ...row, foreign_id: tagOf(row.id) !== projectTag(this.#deps.name), published: true, updated_ms: tx.now_ms }).run()
        tx.change('image', row.id, 'create', null, { id: row.id, moved: true })
        tx.outbox('image.publish', { id: row.id }, { key: `image-publish-${row.id}`, delay_ms: PUBLISH_DELAY_MS })
      })
    }
    await publishImage(this.#deps, row.id)
  }

  /** The other half of adopt: the row goes, the bytes stay. */
  drop(id: string): void {
    if (!this.has(id)) return
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.delete(images).where(eq(images.id, id)).run()
      tx.change('image', id, 'delete', { id, moved: true }, null)
    })
  }

  usage(): { resource: string; limit: number; usage: number }[] {
    const { quotas } = peersOf(this.#deps)
    const [limits, used] = [quotas.limits('image'), quotas.usage('image', this.#deps.db)]
    return Object.keys(limits).map((resource) => ({ resource, limit: limits[resource] ?? -1, usage: used[resource] ?? 0 }))
  }

  async #update(id: string, change: (row: ImageRow, tx: Tx) => Partial<ImageRow>): Promise<ImageRow> {
    const row = this.#deps.commit(this.#caller, (tx) => {
      const found = readImage(this.#deps, id)
      const changes = change(found, tx)
      return Object.keys(changes).length === 0 ? found : writeImage(this.#deps, tx, found, changes)
    })
    await this.#publish(row)
    return row
  }

  /** Others see the change when this call answers; where the region is away, the outbox tells it later. */
  async #publish(row: ImageRow): Promise<void> {
    if (row.published || row.foreign_id) await publishImage(this.#deps, row.id).catch((error) => this.#deps.log('image.publish_later', { id: row.id, error: String(error) }))
  }
}

const TASKS_KEPT = 9

export const measuredColumns = (measured: Measured) => ({ size_bytes: measured.size_bytes, checksum: measured.checksum, sha512: measured.sha512, virtual_size_bytes: measured.virtual_size_bytes })

function member(row: ImageRow, member_id: string): ImageMember {
  const found = row.members.find((entry) => entry.member_id === member_id)
  if (found === undefined) throw new Fault('not_found', `${member_id} not found in the member list of the image ${row.id}.`)
  return found
}

const MIB = 1024 * 1024
function claimBytes(deps: Deps, adding_bytes: number): void {
  const word = (over: { resource: string; used: number; limit: number; requested: number }[]) => new Fault('over_quota', `Project ${deps.name} is over a limit for [Resource ${over[0]?.resource} is over limit of ${over[0]?.limit} due to current usage ${over[0]?.used} and delta ${over[0]?.requested}]`)
  peersOf(deps).quotas.claim('image', deps.db, adding_bytes === 0 ? { image_count_uploading: 1 } : { image_size_total: Math.ceil(adding_bytes / MIB) }, word)
}

export const hasBytes = (row: ImageRow, location: ImageLocation): boolean => [...row.locations, row.staged?.location].some((known) => known?.name === location.name)

/** saving -> queued; the bytes, if any came, are the sender's to delete, and the watch's where the sender cannot. */
export function endUpload(deps: Deps, caller: Caller, id: string, upload_id: string): void {
  const row = deps.db.select().from(images).where(eq(images.id, id)).get()
  if (row === undefined || row.upload_id !== upload_id) return
  deps.commit(caller, (tx) => void writeImage(deps, tx, row, { status: transition(row.status, 'upload_failed'), upload_id: null, upload_seen_ms: null }))
}

/** Row away at once, bytes by the outbox for as long as it takes. */
export function removeImage(deps: Deps, tx: Tx, row: ImageRow): void {
  deps.db.delete(images).where(eq(images.id, row.id)).run()
  tx.change('image', row.id, 'delete', { id: row.id, name: row.name, status: row.status }, null)
  for (const location of [...row.locations, ...(row.staged === null ? [] : [row.staged.location])]) tx.outbox('image.delete_bytes', { location })
  if (row.published || row.foreign_id) tx.outbox('image.publish', { id: row.id }, { key: `image-publish-${row.id}`, delay_ms: PUBLISH_DELAY_MS })
}
