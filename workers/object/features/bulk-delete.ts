/** Many deletions in one request, and a static large object with its segments (swift/common/middleware/bulk.py). */
import { isFault } from '../../../schema/values/fault.ts'
import { swiftFault } from '../errors.ts'
import { forgetAccount, forgetContainer } from '../known.ts'
import { containerKey, decodeName } from '../names.ts'
import { MANIFEST_BYTES_MAX, type Segment, isSlo, segmentName } from '../object/large.ts'
import { openStored, readText } from '../object/read.ts'
import { beginWrite, removeObject, removeVersion } from '../object/write.ts'
import type { SwiftRequest } from '../request.ts'
import { type Report, renderReport } from './report.ts'

export const DELETES_MAX = 10_000
const LINE_BYTES_MAX = 2 * 1_024 + 256
const DELETES_AT_ONCE = 4

interface Outcome {
  deleted: number
  missing: number
  errors: [string, string][]
}

export async function bulkDelete(request: SwiftRequest): Promise<Response> {
  await request.admit('account', 'delete')
  const text = request.request.body === null ? '' : await request.request.text()
  const lines = text.split('\n').map((line) => line.trim()).filter((line) => line !== '')
  if (lines.length > DELETES_MAX) return renderReport(request, resultOf({ deleted: 0, missing: 0, errors: [] }, '413 Request Entity Too Large', `Maximum Bulk Deletes: ${DELETES_MAX} per request`), 'delete')
  const outcome: Outcome = { deleted: 0, missing: 0, errors: [] }
  const objects = lines.filter((line) => line.replace(/^\//, '').includes('/') && !line.replace(/^\//, '').endsWith('/'))
  const containers = lines.filter((line) => !objects.includes(line))
  for (let at = 0; at < objects.length; at += DELETES_AT_ONCE) await Promise.all(objects.slice(at, at + DELETES_AT_ONCE).map((line) => removeLine(request, line, outcome)))
  for (const line of containers) await removeLine(request, line, outcome)
  return renderReport(request, resultOf(outcome), 'delete')
}

function resultOf(outcome: Outcome, status?: string, body = ''): Report {
  const text = status ?? (outcome.errors.length > 0 ? '400 Bad Request' : outcome.deleted === 0 && outcome.missing === 0 ? '400 Bad Request' : '200 OK')
  return { status: text, body: body === '' && text.startsWith('400') && outcome.errors.length === 0 ? 'Invalid bulk delete.' : body, fields: { 'Number Deleted': outcome.deleted, 'Number Not Found': outcome.missing }, errors: outcome.errors }
}

async function removeLine(request: SwiftRequest, line: string, outcome: Outcome): Promise<void> {
  try {
    if (line.length > LINE_BYTES_MAX) throw swiftFault(400)
    const [container = '', ...rest] = decodeName(line).replace(/^\//, '').split('/')
    const object = rest.join('/')
    const { account } = request.names
    if (object === '') {
      await request.admit('container', 'delete')
      await request.env.CONTAINER.getByName(containerKey(account, container)).remove()
      forgetContainer(request.env, account, container)
      forgetAccount(request.env, account)
      outcome.deleted++
      return
    }
    await request.needIn('object', 'delete', container, object)
    if (await removeObject(request.env, { account, container, object }, request.now_ms)) outcome.deleted++
    else outcome.missing++
  } catch (error) {
    if (isFault(error, 'not_found')) outcome.missing++
    else outcome.errors.push([line, statusLine(error)])
  }
}

function statusLine(error: unknown): string {
  if (isFault(error, 'conflict')) return '409 Conflict'
  if (isFault(error, 'unauthorized')) return '401 Unauthorized'
  if (isFault(error, 'forbidden')) return '403 Forbidden'
  if (isFault(error, 'bad_request') || isFault(error, 'precondition_failed')) return '400 Bad Request'
  return '503 Service Unavailable'
}

/** DELETE ?multipart-manifest=delete&async=on: the segments go later, as objects that expire now do; the manifest is the caller's to delete. */
export async function expireSegments(request: SwiftRequest): Promise<void> {
  const name = request.objectName
  const opened = await openStored(request.env, name, true, request.now_ms)
  if (opened === null) throw swiftFault(404, 'SLO manifest not found')
  if (!isSlo(opened.metadata)) {
    opened.drop()
    throw swiftFault(400, 'Not an SLO manifest')
  }
  const segments = (JSON.parse(await readText(opened, MANIFEST_BYTES_MAX)) as Segment[]).filter((segment) => segment.name !== undefined)
  const targets = segments.map((segment) => segmentName(name.account, segment.name ?? ''))
  const containers = [...new Set(targets.map(({ container }) => container))]
  const [container] = containers
  if (container === undefined) return
  if (containers.length > 1) throw swiftFault(400, `All segments must be in one container. Found segments in ${containers.map((one) => `"${encodeURIComponent(one)}"`).join(', ')}`)
  if (segments.some((segment) => segment.sub_slo === true)) throw swiftFault(400, 'No segments may be large objects.')
  for (const { object } of targets) await request.needIn('object', 'delete', container, object)
  try {
    await request.env.CONTAINER.getByName(containerKey(name.account, container)).expireObjects(targets.map(({ object }) => object), Math.floor(request.now_s))
  } catch (error) {
    // No container, no segments.
    if (!isFault(error, 'not_found')) throw error
  }
}

/** DELETE ?multipart-manifest=delete: the segments, then the manifest. */
export async function deleteSlo(request: SwiftRequest, version?: string): Promise<Response> {
  const name = request.objectName
  const outcome: Outcome = { deleted: 0, missing: 0, errors: [] }
  const remove = async (path: string, depth: number): Promise<void> => {
    const target = segmentName(name.account, path)
    const opened = await openStored(request.env, target, true, request.now_ms)
    if (opened !== null && isSlo(opened.metadata) && depth < 10) {
      for (const segment of JSON.parse(await readText(opened, MANIFEST_BYTES_MAX)) as Segment[]) if (segment.name !== undefined) await remove(segment.name, depth + 1)
    } else opened?.drop()
    await removeLine(request, encodeURIComponent(path).replace(/%2F/g, '/'), outcome)
  }
  const opened = await openStored(request.env, name, version !== undefined, request.now_ms, version)
  if (opened === null) throw swiftFault(404)
  if (!isSlo(opened.metadata)) return renderReport(request, resultOf({ ...outcome, errors: [[`/${name.container}/${name.object}`, 'Not an SLO manifest']] }), 'delete')
  if (version === undefined) await remove(`/${name.container}/${name.object}`, 0)
  else {
    for (const segment of JSON.parse(await readText(opened, MANIFEST_BYTES_MAX)) as Segment[]) if (segment.name !== undefined) await remove(segment.name, 1)
    await removeVersion(request.env, await beginWrite(request.env, name), version, false, request.now_ms)
    outcome.deleted++
  }
  return renderReport(request, resultOf(outcome), 'delete')
}
