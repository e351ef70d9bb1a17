/** Bytes between a host and the plane's stores, each signed by the host and bound to what it was asked to do or what runs on it. */
import { Fault } from '../../../schema/values/fault.ts'
import { route, reply } from '../../http/route.ts'
import { imageBytes, receiveImage } from '../../image/internal.ts'
import { getInternal, putInternal } from '../../object/internal.ts'
import { signingHost } from '../signature.ts'

const sizeOf = (request: Request): number | null => {
  const text = request.headers.get('content-length')
  return text === null ? null : Number(text)
}

export const routes = [
  route({
    method: 'GET',
    path: '/v1/images/:id/file',
    policy: 'public',
    handle: async ({ request, env, params, query, now_ms }) => {
      const hostId = await signingHost(env, request, now_ms)
      const imageId = params.id ?? ''
      if (!(await env.HOST.getByName(hostId).mayReadImage(imageId))) throw new Fault('not_found', `Nothing on this host is made from image ${imageId}.`)
      const { body, size_bytes } = await imageBytes(env, query.get('owner') ?? '', imageId)
      return new Response(body as BodyInit, { headers: { 'content-type': 'application/octet-stream', 'content-length': String(size_bytes) } })
    },
  }),
  route({
    method: 'PUT',
    path: '/v1/transfers/:id',
    policy: 'public',
    body: 'stream',
    handle: async ({ request, env, params, now_ms }) => {
      const hostId = await signingHost(env, request, now_ms)
      const host = env.HOST.getByName(hostId)
      const transfer = await host.transfer(params.id ?? '')
      if (transfer.method !== 'PUT') throw new Fault('method_not_allowed', 'This transfer is for reading.')
      const body = request.body as ReadableStream<Uint8Array> | null
      if (body === null) throw new Fault('bad_request', 'A body is required.')
      const size = sizeOf(request)
      const head = transfer.kind === 'image' ? await receiveImage(env, transfer.project_id, transfer.image_id, body, size) : await putInternal(env, transfer.account, transfer.container, transfer.object, body, { size, want: { sha512: true } })
      await host.endTransfer(params.id ?? '')
      return reply({ status: 201, body: { size_bytes: head.size_bytes, md5: head.etag, sha512: head.sha512 ?? '' } })
    },
  }),
  route({
    method: 'GET',
    path: '/v1/transfers/:id',
    policy: 'public',
    handle: async ({ request, env, params, now_ms }) => {
      const hostId = await signingHost(env, request, now_ms)
      const transfer = await env.HOST.getByName(hostId).transfer(params.id ?? '')
      if (transfer.method !== 'GET' || transfer.kind !== 'object') throw new Fault('method_not_allowed', 'This transfer is for writing.')
      const { body, head } = await getInternal(env, transfer.account, transfer.container, transfer.object)
      return new Response(body as BodyInit, { headers: { 'content-type': 'application/octet-stream', 'content-length': String(head.size_bytes) } })
    },
  }),
]
