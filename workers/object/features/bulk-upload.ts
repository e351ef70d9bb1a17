/** PUT ?extract-archive=tar|tar.gz|tar.bz2: every file of the archive becomes an object (swift/common/middleware/bulk.py). */
import { isFault } from '../../../schema/values/fault.ts'
import { createContainer } from '../container/routes.ts'
import { swiftFault } from '../errors.ts'
import { checkContainerName, checkObjectName } from '../names.ts'
import { writeObject } from '../object/write.ts'
import { guessType, titleCase } from '../headers.ts'
import type { SwiftRequest } from '../request.ts'
import { bunzip } from './bunzip.ts'
import { renderReport } from './report.ts'
import { readTar } from './tar.ts'

export const FAILED_EXTRACTIONS_MAX = 1_000
export const CONTAINERS_PER_EXTRACTION_MAX = 10_000
/** A file of an archive is held in memory while its replicas are written. */
export const ARCHIVED_FILE_BYTES_MAX = 32 * 1024 * 1024

export async function bulkUpload(request: SwiftRequest): Promise<Response> {
  const format = request.query.get('extract-archive')?.toLowerCase()
  if (format !== 'tar' && format !== 'tar.gz' && format !== 'tar.bz2') throw swiftFault(400, 'Unsupported archive format')
  const { account, container } = request.names
  if (container === null) await request.admit('account', 'post')
  else await request.needIn('object', 'put', container, null)
  const body = request.request.body as ReadableStream<Uint8Array> | null
  const errors: [string, string][] = []
  const made = new Set<string>()
  let [created, problem] = [0, '']
  const one = async (path: string, bytes: () => Promise<Uint8Array>, metadata: Record<string, string>) => {
    const [target = '', ...rest] = path.split('/')
    const object = rest.join('/')
    if (target === '' || object === '') return
    try {
      checkContainerName(target)
      checkObjectName(object)
      if (container === null && !made.has(target)) {
        if (made.size >= CONTAINERS_PER_EXTRACTION_MAX) throw swiftFault(400)
        await request.admit('container', 'put')
        await createContainer(request, target, null, {})
        made.add(target)
      }
      const data = await bytes()
      await writeObject(request.env, { account, container: target, object }, data, { metadata, content_type: guessType(object), size: data.byteLength, etag: null }, request.now_ms)
      created++
    } catch (error) {
      errors.push([path, isFault(error) ? `${error.status ?? 503} ${error.kind}` : String((error as Error).message)])
      if (errors.length > FAILED_EXTRACTIONS_MAX) throw new Error('too many failures')
    }
  }
  try {
    const plain = body === null || format === 'tar' ? body : (body as unknown as { pipeThrough(through: unknown): ReadableStream<Uint8Array> }).pipeThrough(format === 'tar.gz' ? new DecompressionStream('gzip') : bunzip())
    if (plain !== null) await readTar(plain, ARCHIVED_FILE_BYTES_MAX, async (entry, read) => {
      if (entry.type !== 'file') return
      const path = [container, entry.name.replace(/^(\.?\/)+/, '')].filter((part) => part !== null && part !== '').join('/')
      await one(path, read, xattrs(entry.pax))
    })
  } catch (error) {
    problem = `Invalid Tar File: ${(error as Error).message}`
  }
  const status = problem !== '' || errors.length > 0 || created === 0 ? '400 Bad Request' : '201 Created'
  return renderReport(request, { status, body: problem !== '' ? problem : created === 0 && errors.length === 0 ? 'Invalid Tar File: No Valid Files' : '', fields: { 'Number Files Created': created }, errors }, 'extract')
}

/** user.meta.* attributes of the archived file are the object's metadata. */
function xattrs(pax: Record<string, string>): Record<string, string> {
  const metadata: Record<string, string> = {}
  for (const [name, value] of Object.entries(pax)) {
    const key = /^(?:SCHILY\.xattr|LIBARCHIVE\.xattr)\.user\.meta\.(.+)$/.exec(name)?.[1]
    if (key !== undefined) metadata[titleCase(`x-object-meta-${key}`)] = value
  }
  return metadata
}
