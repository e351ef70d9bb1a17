/** Clients that go away in the middle of a download, many times over: what is still open afterwards. In process; test/shipped/disconnects.test.ts does it with real ones. */
import * as bundle from '../../../workers/index.ts'
import { ORIGIN } from '../../support/cloud.ts'
import { type ObjectCloud, ROOT, objectCloud } from './cloud.ts'

const SEGMENT_BYTES = 200 * 1024

export interface Disconnects {
  cloud: ObjectCloud
  /** One client that reads a little and goes. */
  once(n: number): Promise<void>
}

/** A static and a dynamic large object, a plain one, and a symbolic link, all of which are read in part. */
export async function disconnecting(): Promise<Disconnects> {
  const cloud = await objectCloud()
  const token = await cloud.token()
  await cloud.swift('PUT', '/c')
  for (const n of [1, 2, 3]) await cloud.swift('PUT', `/c/seg/${n}`, { body: new Uint8Array(SEGMENT_BYTES).fill(n) })
  await cloud.swift('PUT', '/c/slo?multipart-manifest=put', { body: JSON.stringify([1, 2, 3].map((n) => ({ path: `c/seg/${n}` }))) })
  await cloud.swift('PUT', '/c/dlo', { headers: { 'x-object-manifest': 'c/seg/', 'content-length': '0' } })
  await cloud.swift('PUT', '/c/link', { headers: { 'x-symlink-target': 'c/slo', 'content-length': '0' } })
  const paths = ['slo', 'dlo', 'seg/1', 'link']
  const ranges = [null, 'bytes=100-500000', 'bytes=0-9,300000-500000']
  return {
    cloud,
    once: async (n) => {
      const range = ranges[Math.floor(n / paths.length) % ranges.length] ?? null
      const request = new Request(`${ORIGIN}${ROOT}/c/${paths[n % paths.length]}`, { headers: { 'x-auth-token': token, ...(range === null ? {} : { range }) } })
      const response = await bundle.default.fetch(request as never, cloud.env, { waitUntil: () => {} })
      const reader = (response.body as unknown as ReadableStream<Uint8Array>).getReader()
      for (let read = 0; read < n % 5; read++) await reader.read()
      await reader.cancel(new Error('the client went away'))
    },
  }
}
