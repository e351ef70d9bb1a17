/**
 * JSON-patch of an image, in its two media types: v2.1 ({op, path, value}) and the older v2.0 ({"replace": path, "value": ...}). Applying is pure: row in, changes
 * out, so that the store can do it inside its transaction.
 */
import type { ImageRow, Visibility } from '../../../schema/project/image.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { safeParse } from 'valibot'
import { BASE_ATTRIBUTES, checkQuotas, patchBody, refuseAttributes } from './requests.ts'

export interface PatchOp {
  op: 'add' | 'replace' | 'remove'
  /** Unescaped JSON pointer. */
  path: string[]
  value?: unknown
}

const MEDIA_V20 = 'application/openstack-images-v2.0-json-patch'
const MEDIA_V21 = 'application/openstack-images-v2.1-json-patch'
export const OPS_MAX = 512
const bad = (message: string) => new Fault('bad_request', message)

function pointer(path: unknown): string[] {
  if (typeof path !== 'string' || !path.startsWith('/') || path.length < 2) throw bad(`Pointer \`${String(path)}\` does not start with "/" or is empty.`)
  const parts = path.slice(1).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (parts.length > 2 || (parts.length === 2 && parts[0] !== 'tags' && parts[0] !== 'locations')) throw bad(`Invalid JSON pointer for this resource: '${path}'`)
  return parts
}

export function parsePatch(contentType: string | null, json: unknown): PatchOp[] {
  const media = (contentType ?? '').split(';')[0]?.trim().toLowerCase()
  if (media !== MEDIA_V20 && media !== MEDIA_V21) throw new Fault('unsupported_media', `Unsupported content type '${media}': use ${MEDIA_V21}`, { headers: { 'accept-patch': `${MEDIA_V20}, ${MEDIA_V21}` } })
  if (!Array.isArray(json)) throw bad('Request body must be a JSON array of operation objects.')
  if (json.length > OPS_MAX) throw bad(`A patch has at most ${OPS_MAX} operations.`)
  return json.map((entry) => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) throw bad('Operations must be JSON objects.')
    const fields = entry as Record<string, unknown>
    const op = media === MEDIA_V21 ? fields.op : ['add', 'replace', 'remove'].find((name) => name in fields)
    if (op !== 'add' && op !== 'replace' && op !== 'remove') throw bad("Operations must be 'add', 'replace', or 'remove'.")
    const path = pointer(media === MEDIA_V21 ? fields.path : fields[op])
    if (op !== 'remove' && !('value' in fields)) throw bad(`Operation "${op}" requires a member named "value".`)
    return op === 'remove' ? { op, path } : { op, path, value: fields.value }
  })
}

/** What the ops want the visibility and owner to become: the route authorizes them. */
export function wanted(ops: readonly PatchOp[]): { visibility?: unknown; owner?: unknown } {
  const result: { visibility?: unknown; owner?: unknown } = {}
  for (const { path, value } of ops) {
    if (path[0] === 'visibility') result.visibility = value
    if (path[0] === 'owner') result.owner = value
  }
  return result
}

export type ImageChanges = Partial<Pick<ImageRow, 'name' | 'visibility' | 'protected' | 'hidden' | 'container_format' | 'disk_format' | 'min_disk_gib' | 'min_ram_mib' | 'tags' | 'properties'>>

const COLUMNS: Record<string, keyof ImageChanges> = {
  name: 'name', visibility: 'visibility', protected: 'protected', os_hidden: 'hidden', container_format: 'container_format', disk_format: 'disk_format', min_disk: 'min_disk_gib', min_ram: 'min_ram_mib', tags: 'tags',
}

export function applyPatch(row: ImageRow, ops: readonly PatchOp[]): ImageChanges {
  const next = { ...row, tags: [...row.tags], properties: { ...row.properties } }
  for (const op of ops) {
    const name = op.path[0] ?? ''
    refuseAttributes([name], { creating: false })
    if (name === 'owner') continue
    if (name === 'tags' && op.path.length === 2) patchTag(next.tags, op)
    else if (BASE_ATTRIBUTES.has(name)) patchBase(next, row, name, op)
    else patchProperty(next.properties, name, op)
  }
  next.tags = [...new Set(next.tags)]
  checkQuotas(next.properties, next.tags)
  const changes: Record<string, unknown> = {}
  for (const column of [...Object.values(COLUMNS), 'properties' as const]) if (JSON.stringify(next[column]) !== JSON.stringify(row[column])) changes[column] = next[column]
  return changes as ImageChanges
}

function checked(name: string, value: unknown): unknown {
  const result = safeParse(patchBody, { [name]: value }, { abortEarly: true })
  if (!result.success) throw bad(`Provided object does not match schema 'image': ${JSON.stringify(value)} ${result.issues[0].message} (attribute '${name}')`)
  return (result.output as Record<string, unknown>)[name]
}

function patchBase(next: ImageRow, row: ImageRow, name: string, op: PatchOp): void {
  if (op.op === 'remove') throw new Fault('forbidden', `Property ${name} may not be removed.`)
  const value = checked(name, op.value)
  if ((name === 'disk_format' || name === 'container_format') && row.status !== 'queued' && row[name] !== value) throw new Fault('forbidden', `Attribute ${name} can be only replaced for a queued image.`)
  Object.assign(next, { [COLUMNS[name] ?? name]: name === 'visibility' ? (value as Visibility) : value })
}

function patchProperty(properties: Record<string, string>, name: string, op: PatchOp): void {
  if (op.op !== 'add' && !(name in properties)) throw new Fault('conflict', `Property ${name} does not exist.`)
  if (op.op === 'remove') delete properties[name]
  else properties[name] = checked(name, op.value) as string
}

function patchTag(tags: string[], op: PatchOp): void {
  const at = op.path[1] === '-' ? tags.length : Number(op.path[1])
  if (!Number.isInteger(at) || at < 0 || at > tags.length || (op.op !== 'add' && at >= tags.length)) throw bad(`There is no tag at position ${op.path[1]}.`)
  if (op.op === 'remove') tags.splice(at, 1)
  else {
    const [tag] = checked('tags', [op.value]) as string[]
    tags.splice(at, op.op === 'replace' ? 1 : 0, tag ?? '')
  }
}
