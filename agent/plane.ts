/** The plane's HTTP doors for bulk bytes, called with the host's own signature: images come, snapshots and volumes go. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { pipeline, Readable } from 'node:stream'
import { Fault, type FaultKind } from '../schema/values/fault.ts'
import type { Identity } from './identity.ts'

export interface PlaneHttp {
  get(path: string): Promise<{ size_bytes: number | null; body: AsyncIterable<Uint8Array> }>
  put(path: string, body: AsyncIterable<Uint8Array>, size_bytes: number): Promise<void>
  /** POSTs JSON and gives what is answered. */
  call(path: string, body: unknown): Promise<unknown>
}

/** No byte either way for this long is a dead connection. */
const IDLE_TIMEOUT_MS = 120_000
const KINDS: Record<number, FaultKind> = { 400: 'bad_request', 401: 'unauthorized', 403: 'forbidden', 404: 'not_found', 409: 'conflict', 410: 'gone', 413: 'too_large', 503: 'unavailable', 507: 'insufficient_storage' }

export function planeHttp(plane: string, identity: Identity): PlaneHttp {
  const open = (method: string, path: string, headers: Record<string, string>) => {
    // A transfer path comes from the plane; it may not lead elsewhere.
    const url = new URL(path, plane)
    if (url.origin !== new URL(plane).origin) throw new Fault('bad_request', `${path} is not a path of the plane`)
    const signed = url.pathname + url.search
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url.href, { method, headers: { ...headers, authorization: identity.authorization(method, signed) } })
    request.setTimeout(IDLE_TIMEOUT_MS, () => request.destroy(new Fault('timeout', `${method} ${url.pathname}: no byte for ${IDLE_TIMEOUT_MS} ms`)))
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve)
      request.on('error', reject)
    })
    return { request, response, path: url.pathname }
  }
  const refuse = async (method: string, path: string, response: IncomingMessage): Promise<never> => {
    let text = ''
    for await (const chunk of response) {
      text += chunk
      if (text.length > 1000) break
    }
    response.destroy()
    throw new Fault(KINDS[response.statusCode ?? 0] ?? 'bad_gateway', `${method} ${path} was answered with ${response.statusCode}: ${text.slice(0, 300)}`)
  }
  return {
    async get(path) {
      const call = open('GET', path, {})
      call.request.end()
      const response = await call.response
      if (response.statusCode !== 200) await refuse('GET', call.path, response)
      const length = response.headers['content-length']
      return { size_bytes: length === undefined ? null : Number(length), body: response }
    },
    async put(path, body, size_bytes) {
      const call = open('PUT', path, { 'content-length': String(size_bytes), 'content-type': 'application/octet-stream' })
      const sent = new Promise<void>((resolve, reject) => pipeline(Readable.from(body, { objectMode: false }), call.request, (error) => (error ? reject(error) : resolve())))
      // An early refusal arrives before the body is out: its answer says more than the broken pipe.
      sent.catch(() => {})
      const response = await call.response
      if ((response.statusCode ?? 500) >= 300) await refuse('PUT', call.path, response)
      response.resume()
      await sent
    },
    async call(path, body) {
      const bytes = Buffer.from(JSON.stringify(body))
      const call = open('POST', path, { 'content-length': String(bytes.length), 'content-type': 'application/json' })
      call.request.end(bytes)
      const response = await call.response
      if ((response.statusCode ?? 500) >= 300) await refuse('POST', call.path, response)
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      return JSON.parse(Buffer.concat(chunks).toString() || 'null')
    },
  }
}
