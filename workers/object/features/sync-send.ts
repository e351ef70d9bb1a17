/**
 * Copies a change to a container of another cluster, as Swift's own container sync does (swift/container/sync.py): a PUT or DELETE with the time of the write, signed with the
 * realm's key and the container's secret. Runs in the Container object; sent again until the other side has it.
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { ContainerInfo, ObjectRow } from '../container/store.ts'
import { OBJECT_HEADERS } from '../headers.ts'
import { quotePath } from '../names.ts'
import { isSlo } from '../object/large.ts'
import { bodyOf, type Opened, openStored } from '../object/read.ts'
import { linkHeaders } from './symlink.ts'
import { type SyncTarget, syncSignature } from './sync-realms.ts'

/** An answer is waited for this long, and longer for what is large. */
export const SEND_TIMEOUT_MS = 60_000
/** The least that a connection between clusters carries. */
export const SEND_BYTES_PER_S_MIN = 256 * 1024
/** Sent from memory with its length; what is larger goes as a stream. */
const HELD_BYTES_MAX = 1024 * 1024

type Far = SyncTarget & { far: NonNullable<SyncTarget['far']> }
type Change = Pick<ObjectRow, 'name' | 'at'> & Partial<ObjectRow>

/** 'refused': it will be refused again, however often it is sent. */
export type Sent = 'sent' | 'refused'

/** URLs can't say it: '.' and '..' between slashes are taken for a way to somewhere else. */
export const isSendable = (name: string): boolean => !name.split('/').some((part) => part === '.' || part === '..')

function headersOf(opened: Opened): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': opened.content_type, etag: opened.head.etag }
  for (const [name, value] of Object.entries(opened.metadata)) if (/^x-object-meta-/i.test(name) || (OBJECT_HEADERS as readonly string[]).includes(name.toLowerCase())) headers[name.toLowerCase()] = value
  // Swift takes a manifest for one by this header, whatever the query says.
  if (isSlo(opened.metadata)) headers['x-static-large-object'] = 'True'
  for (const [name, value] of Object.entries(linkHeaders(opened.metadata))) if (name !== 'x-symlink-target-bytes') headers[name] = value
  return headers
}

async function bytesOf(opened: Opened): Promise<BodyInit> {
  if (opened.size === 0) return ''
  const body = bodyOf(await opened.open(null))
  return (opened.size <= HELD_BYTES_MAX ? await new Response(body as never).arrayBuffer() : body) as BodyInit
}

/** Throws where it should be tried again. */
export async function sendRow(env: Env, info: ContainerInfo, target: Far, row: Change, nonce: string, now_ms: number): Promise<Sent> {
  if (!isSendable(row.name)) return 'refused'
  const url = new URL(`${target.far.endpoint.replace(/\/+$/, '')}/${quotePath(target.account)}/${quotePath(target.container)}/${quotePath(row.name)}`)
  const signed = (method: string, at = row.at) => ({ 'x-timestamp': at, 'x-container-sync-auth': `${target.far.realm} ${nonce} ${syncSignature(method, url.pathname, at, nonce, target.far.key, info.metadata['x-container-sync-key'] ?? '')}` })
  const send = (init: RequestInit, bytes = 0) => fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(SEND_TIMEOUT_MS + Math.ceil(bytes / SEND_BYTES_PER_S_MIN) * 1_000) })
  if (row.etag === undefined) {
    const gone = await send({ method: 'DELETE', headers: signed('DELETE') })
    await gone.body?.cancel()
    return outcome(gone.status, [404, 409])
  }
  const opened = await openStored(env, { account: info.account, container: info.name, object: row.name }, true, now_ms)
  // Deleted since: its tombstone is a change of its own.
  if (opened === null) return 'sent'
  try {
    // The disks that answered are behind the listing: older bytes must not get this time.
    if (opened.timestamp < row.at) throw new Fault('unavailable', 'what was written has not been found')
    if (opened.size > HELD_BYTES_MAX && (await isThere(send, signed('HEAD', opened.timestamp), opened.timestamp))) {
      opened.drop()
      return 'sent'
    }
  } catch (error) {
    opened.drop()
    throw error
  }
  if (isSlo(opened.metadata)) url.searchParams.set('multipart-manifest', 'put')
  const body = await bytesOf(opened)
  const put = await send({ method: 'PUT', headers: { ...headersOf(opened), ...signed('PUT', opened.timestamp) }, body, ...(body instanceof ReadableStream ? { duplex: 'half' } : {}) } as RequestInit, opened.size)
  await put.body?.cancel()
  return outcome(put.status, [409])
}

/** Whether the other side has it, or something newer: what came from there is not sent back. Who can't say gets it. */
async function isThere(send: (init: RequestInit) => Promise<Response>, headers: Record<string, string>, at: string): Promise<boolean> {
  const head = await send({ method: 'HEAD', headers })
  await head.body?.cancel()
  return head.status === 200 && (head.headers.get('x-timestamp') ?? '') >= at
}

const LATER = new Set([401, 403, 404, 408, 429, 498, 507])

function outcome(status: number, fine: readonly number[]): Sent {
  if ((status >= 200 && status < 300) || fine.includes(status)) return 'sent'
  if (status >= 400 && status < 500 && !LATER.has(status)) return 'refused'
  throw new Fault('unavailable', `the other cluster answered ${status}`)
}
