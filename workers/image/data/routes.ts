/** Bytes of an image: upload, stage, import, download with ranges. Streams pass through untouched; stores and hashes are bytes.ts and the hosts' work. */
import { array, boolean, looseObject, optional, string } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { reply, route } from '../../http/route.ts'
import { defaultStore, getBytes, STORES, storesNow } from '../bytes.ts'
import { locate, locateOwn } from '../locate.ts'
import { takeBytes } from '../upload.ts'
import { IMPORT_METHODS } from '../stores/routes.ts'
import { parseRange } from './range.ts'

const idOf = (ctx: Context): string => decodeURIComponent(ctx.params.id ?? '')

function storeOf(ctx: Context): string {
  const wanted = ctx.request.headers.get('x-image-meta-store') ?? ''
  if (wanted === '') return defaultStore(ctx.env)
  if (!(STORES as readonly string[]).includes(wanted)) throw new Fault('bad_request', `Invalid backend id: '${wanted}'`)
  return wanted
}

async function take(ctx: Context, purpose: 'upload' | 'stage') {
  const type = ctx.request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/octet-stream') throw new Fault('unsupported_media', 'Request body must be of content-type application/octet-stream.')
  const store_id = storeOf(ctx)
  const { store, image } = await locateOwn(ctx, idOf(ctx), 'upload data to')
  const length = ctx.request.headers.get('content-length')
  const body = (ctx.request.body as ReadableStream<Uint8Array> | null) ?? new Blob([]).stream()
  await takeBytes({ env: ctx.env, store, image, purpose, store_id, requestId: ctx.requestId, now_ms: ctx.now_ms }, body, length === null ? null : Number(length))
}

async function download(ctx: Context) {
  const { image, admin } = await locate(ctx, idOf(ctx))
  if (image.status === 'deactivated' && !admin) throw new Fault('forbidden', 'The requested image has been deactivated. Image data download is forbidden.')
  if (image.locations.length === 0 || image.size_bytes === null) return reply({ status: 204 })
  const size = image.size_bytes
  const range = parseRange(ctx.request.headers.get('range'), size)
  const headers: Record<string, string> = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes', ...(image.checksum === null ? {} : { 'content-md5': image.checksum }) }
  if (range !== null) {
    headers['content-range'] = `bytes ${range[0]}-${range[1]}/${size}`
    delete headers['content-md5']
  }
  headers['content-length'] = String(range === null ? size : range[1] - range[0] + 1)
  if (ctx.request.method === 'HEAD') return new Response(null, { status: 200, headers })
  let failure: unknown
  for (const location of image.locations) {
    try {
      return new Response((await getBytes(ctx.env, location, range, ctx.now_ms)) as BodyInit, { status: range === null ? 200 : 206, headers })
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

const importBody = looseObject({
  method: looseObject({ name: string() }), stores: optional(array(string())), all_stores: optional(boolean()), all_stores_must_succeed: optional(boolean()),
})

async function startImport(ctx: Context) {
  const { method, stores, all_stores } = ctx.body
  if (!(IMPORT_METHODS as readonly string[]).includes(method.name)) throw new Fault('bad_request', `Unknown import method name '${method.name}'.`)
  if (stores !== undefined && all_stores === true) throw new Fault('bad_request', 'All_stores parameter can\'t be used with x-image-meta-store header or stores parameter')
  const { store, image } = await locateOwn(ctx, idOf(ctx), 'import')
  if (method.name === 'copy-image' && !(image.owner === ctx.caller.project_id)) ctx.authorize('copy_image')
  const known: string[] = (await storesNow(ctx.env, ctx.requestId)).map((entry) => entry.id)
  const wanted: string[] = all_stores === true ? known : (stores ?? [storeOf(ctx)])
  for (const name of wanted) if (!known.includes(name)) throw new Fault('bad_request', `Store '${name}' is not available.`)
  await store.import(image.id, { method: method.name as 'glance-direct' | 'copy-image', stores: wanted, all_stores_must_succeed: ctx.body.all_stores_must_succeed ?? true, input: ctx.body })
  return reply({ status: 202 })
}

export const routes = [
  route({ method: 'PUT', path: '/v2/images/:id/file', policy: 'upload_image', body: 'stream', handle: (ctx) => take(ctx, 'upload') }),
  route({ method: 'PUT', path: '/v2/images/:id/stage', policy: 'upload_image', body: 'stream', handle: (ctx) => take(ctx, 'stage') }),
  route({ method: 'GET', path: '/v2/images/:id/file', policy: 'download_image', handle: download }),
  route({ method: 'POST', path: '/v2/images/:id/import', policy: 'upload_image', body: importBody, handle: startImport }),
]
