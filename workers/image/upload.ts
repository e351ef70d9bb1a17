/** An upload, from whoever sends it (a client's PUT, a host's snapshot): bytes to a store, then what was measured decides whether the image becomes active. */
import { type Env, systemTimers, type Timers } from '../../durable-objects/kernel/env.ts'
import type { Remote } from '../../durable-objects/kernel/rpc.ts'
import type { ObjectHead } from '../../schema/agent/protocol.ts'
import type { ImageLocation, Measured } from '../../schema/project/image.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import { matches } from '../../schema/values/image-format.ts'
import { choosePlace, deleteBytes, putBytes } from './bytes.ts'
import type { ImagesStore } from './images/store.ts'
import { onProject } from '../../durable-objects/kernel/sessions.ts'

export const ALIVE_INTERVAL_MS = 60_000

/** Containers that wrap the disk: what is inspected then is the wrapping. */
const WRAPPING = new Set(['ovf', 'ova', 'docker', 'compressed'])

/** Measured -> kept, or the reason to refuse: the bytes must be what disk_format says, whole, and must not name other files. */
export function judge(disk_format: string, container_format: string, head: ObjectHead): Measured {
  if (head.sha512 === undefined || head.inspection === undefined) throw new Fault('internal', 'The store did not hash or inspect the image.')
  const { format, problem, virtual_size_bytes } = head.inspection
  if (problem !== null) throw new Fault('unsupported_media', `Image content is not safe to use: ${problem}`, { type: 'InvalidImageData' })
  // root-tar is a plain stream of bytes to us, as raw is.
  const claim = disk_format === 'root-tar' ? 'raw' : disk_format
  if (!WRAPPING.has(container_format) && !matches(claim, format)) throw new Fault('unsupported_media', `Image content does not match disk_format: the image claims ${disk_format} and its content is ${format}.`, { type: 'ImportFormatMismatch' })
  const plain = format === 'raw' || format === 'gpt'
  return { size_bytes: head.size_bytes, checksum: head.etag, sha512: head.sha512, virtual_size_bytes: plain ? head.size_bytes : virtual_size_bytes }
}

export interface UploadTarget {
  env: Env
  store: Remote<ImagesStore>
  image: { id: string; owner: string; disk_format: string | null; container_format: string | null }
  purpose: 'upload' | 'stage'
  store_id: string
  requestId: string
  now_ms: number
}

/**
 * Any failure leaves the image queued and no bytes behind. An answer that was lost is no failure: the project is asked what became of it, and bytes that an
 * image has, or may have, are never deleted.
 */
export async function takeBytes(target: UploadTarget, body: ReadableStream<Uint8Array>, size_bytes: number | null): Promise<{ head: ObjectHead; location: ImageLocation }> {
  const { env, store, image, purpose, now_ms } = target
  const { upload_id, location } = await store.beginUpload(image.id, purpose, await choosePlace(env, target.store_id, target.requestId))
  const stop = every(env.SIM?.timers ?? systemTimers, ALIVE_INTERVAL_MS, () => void store.uploadAlive(image.id, upload_id).catch(() => {}))
  try {
    const head = await putBytes(env, location, body, size_bytes, now_ms)
    if (size_bytes !== null && head.size_bytes !== size_bytes) throw new Fault('bad_request', `The body has ${head.size_bytes} bytes, not the ${size_bytes} announced.`)
    const measured = judge(image.disk_format ?? 'raw', image.container_format ?? 'bare', head)
    await surely<unknown>(target, (images) => (purpose === 'stage' ? images.finishStage(image.id, upload_id, location, measured) : images.finishUpload(image.id, upload_id, location, measured)))
    return { head, location }
  } catch (error) {
    const unused = await surely(target, (images) => images.failUpload(image.id, upload_id, location)).catch(() => false)
    if (unused) await deleteBytes(env, location, now_ms).catch(() => {})
    if (isFault(error)) throw error
    throw new Fault('unavailable', `Image ${image.id} could not be saved: ${String((error as Error)?.message ?? error)}`, { cause: error })
  } finally {
    stop()
  }
}

/** Once more in a new session where the object was reset in between: what it did is done, though its answer was lost. */
async function surely<T>({ env, store, image, requestId }: UploadTarget, work: (images: Remote<ImagesStore>) => Promise<T>): Promise<T> {
  try {
    return await work(store)
  } catch (error) {
    if (isFault(error)) throw error
    return await onProject(env, image.owner, requestId, (project) => work(project.image.images))
  }
}

/** Runs `work` again and again; the answer ends it. */
function every(timers: Timers, interval_ms: number, work: () => void): () => void {
  let cancel: () => void
  const next = () => {
    cancel = timers.after(interval_ms, () => {
      work()
      next()
    })
  }
  next()
  return () => cancel()
}
