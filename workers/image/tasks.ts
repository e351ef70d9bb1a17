/** Outbox tasks of images: telling the directory, ending silent uploads, importing into stores, deleting bytes. */
import { eq } from 'drizzle-orm'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Tasks } from '../../durable-objects/kernel/outbox.ts'
import { type ImageLocation, type ImageRow, images } from '../../schema/project/image.ts'
import { systemCaller } from '../../schema/values/caller.ts'
import { Fault, isFault } from '../../schema/values/fault.ts'
import { choosePlace, deleteBytes, getBytes, putBytes } from './bytes.ts'
import { endUpload, hasBytes, measuredColumns, UPLOAD_LEASE_MS, writeImage } from './images/store.ts'
import { transition } from './images/states.ts'
import { publishMetadef } from './metadefs/store.ts'
import { publishImage } from './publish.ts'

const DAY_MS = 24 * 3_600_000
const row = (deps: Deps, id: string): ImageRow | undefined => deps.db.select().from(images).where(eq(images.id, id)).get()

interface ImportPayload {
  id: string
  task_id: string
  all_stores_must_succeed: boolean
}

/** Copies what is staged (or stored) to each wanted store that lacks it. A store that fails is remembered, the others go on. */
async function runImport(deps: Deps, { id, task_id, all_stores_must_succeed }: ImportPayload, request_id: string): Promise<void> {
  const image = row(deps, id)
  const task = image?.tasks.find((entry) => entry.id === task_id)
  if (image === undefined || task === undefined || task.status !== 'processing') return
  const source = image.staged?.location ?? image.locations[0]
  const measured = image.staged?.measured ?? null
  if (source === undefined) return finishImport(deps, id, task_id, [], 'there are no bytes to import', request_id)
  const done: ImageLocation[] = [...image.locations]
  let problem = ''
  for (const store of task.stores) {
    if (done.some((location) => location.store === store)) continue
    if (source.store === store) {
      done.push(source)
      continue
    }
    try {
      const target = { ...(await choosePlace(deps.env, store, request_id)), name: source.name }
      const now = deps.clock.now_ms()
      const head = await putBytes(deps.env, target, await getBytes(deps.env, source, null, now), measured?.size_bytes ?? image.size_bytes, now)
      if (head.sha512 !== (measured?.sha512 ?? image.sha512)) throw new Fault('bad_gateway', 'the copy has other bytes')
      done.push(target)
    } catch (error) {
      // An object that was reset is no answer of the store: the step runs again.
      if (!isFault(error)) throw error
      problem = `store ${store}: ${String((error as Error)?.message ?? error)}`
      if (all_stores_must_succeed) break
    }
  }
  const failed = done.length === 0 || (problem !== '' && all_stores_must_succeed)
  const kept = failed ? image.locations : done
  for (const location of [...done, source]) if (!kept.some((known) => known.store === location.store && known.name === location.name)) await deleteBytes(deps.env, location, deps.clock.now_ms())
  finishImport(deps, id, task_id, kept, failed ? problem || 'no store could be written' : problem, request_id)
}

function finishImport(deps: Deps, id: string, task_id: string, locations: ImageLocation[], problem: string, request_id: string): void {
  const image = row(deps, id)
  if (image === undefined) return
  const ok = locations.length > 0
  deps.commit(systemCaller(request_id), (tx) => {
    const tasks = image.tasks.map((task) => (task.id === task_id ? { ...task, status: ok ? ('success' as const) : ('failure' as const), message: problem, updated_ms: tx.now_ms } : task))
    const importing = image.status === 'importing'
    writeImage(deps, tx, image, {
      tasks, locations, ...(ok && image.staged !== null ? measuredColumns(image.staged.measured) : {}),
      ...(importing ? { staged: null, status: transition(image.status, ok ? 'import_done' : 'import_failed'), ...(ok ? {} : { size_bytes: null }) } : {}),
    })
  })
}

interface Watched {
  id: string
  upload_id: string
  /** Absent in steps that an older build wrote. */
  location?: ImageLocation
}

export const imageTasks: Tasks<Deps> = {
  'image.publish': {
    run: async (deps, { id }: { id: string }) => await publishImage(deps, id),
    deadline_ms: 7 * DAY_MS,
  },
  'metadef.publish': {
    run: async (deps, { namespace }: { namespace: string }) => await publishMetadef(deps, namespace),
    deadline_ms: 7 * DAY_MS,
  },
  'image.upload_watch': {
    run: async (deps, { id, upload_id, location }: Watched, entry) => {
      const image = row(deps, id)
      // Deleted, or moved to a project that has the bytes now: they are not for us to delete.
      if (image === undefined) return
      if (image.upload_id === upload_id) {
        const silent_ms = deps.clock.now_ms() - (image.upload_seen_ms ?? 0)
        if (silent_ms < UPLOAD_LEASE_MS) return deps.commit(systemCaller(entry.request_id), (tx) => tx.outbox('image.upload_watch', { id, upload_id, location }, { delay_ms: UPLOAD_LEASE_MS - silent_ms, deadline_ms: UPLOAD_LEASE_MS * 4 }))
        endUpload(deps, systemCaller(entry.request_id), id, upload_id)
      }
      const now = row(deps, id)
      if (location !== undefined && now !== undefined && !hasBytes(now, location)) await deleteBytes(deps.env, location, deps.clock.now_ms())
    },
    expire: (deps, { id, upload_id }: Watched, _error, entry) => endUpload(deps, systemCaller(entry.request_id), id, upload_id),
  },
  'image.import': {
    run: async (deps, payload: ImportPayload, entry) => {
      try {
        await runImport(deps, payload, entry.request_id)
      } catch (error) {
        // A store that is away now may be back in a moment; a refusal is final.
        if (isFault(error) && !isFault(error, 'unavailable')) return finishImport(deps, payload.id, payload.task_id, row(deps, payload.id)?.locations ?? [], String((error as Error)?.message ?? error), entry.request_id)
        throw error
      }
    },
    expire: (deps, payload: ImportPayload, error, entry) => finishImport(deps, payload.id, payload.task_id, row(deps, payload.id)?.locations ?? [], error, entry.request_id),
    deadline_ms: 3_600_000,
  },
  'image.delete_bytes': {
    run: async (deps, { location }: { location: ImageLocation }) => await deleteBytes(deps.env, location, deps.clock.now_ms()),
    expire: (deps, { location }: { location: ImageLocation }, error) => deps.log('image.bytes_left', { ...location, error }),
    deadline_ms: 30 * DAY_MS,
  },
}
