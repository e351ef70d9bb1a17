/** How a recording is made: of a cloud somewhere, or from the file that a real Keystone's answers are kept in. */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import type { Explanation, Recording } from './compare.ts'
import { script } from './script/index.ts'
import { type Cloud, type Raw, Side } from './side.ts'

export const RECORDED = join(import.meta.dirname, 'keystone.json')
export const explained = (): Explanation[] => JSON.parse(readFileSync(join(import.meta.dirname, 'explained.json'), 'utf8'))

export async function record(cloud: Cloud, run: string): Promise<Recording> {
  const side = new Side(cloud, run)
  await script(side)
  return side.records
}

/** A cloud somewhere. A connection for each request: uWSGI closes them without a word. What breaks off without an answer is status 0. */
export function remote(root: string, password: string): Cloud {
  const once = (method: string, path: string, headers: Record<string, string>, body: string | undefined) =>
    new Promise<Raw>((resolve, reject) => {
      const length = body === undefined ? (['POST', 'PUT', 'PATCH'].includes(method) ? { 'content-length': '0' } : {}) : { 'content-length': String(Buffer.byteLength(body)) }
      const outgoing = request(`${root}${path}`, { method, headers: { ...headers, ...length }, agent: false }, (answer) => {
        const parts: Buffer[] = []
        answer.on('data', (part: Buffer) => parts.push(part))
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: new Headers(Object.entries(answer.headers).map(([name, value]) => [name, String(value)] as [string, string])), text: Buffer.concat(parts).toString() }))
        answer.on('error', reject)
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  return {
    root, password, settle_ms: 1_100,
    send: async (method, path, headers, body) => {
      try {
        return await once(method, path, headers, body)
      } catch (error) {
        if ((error as { code?: string }).code === 'ECONNREFUSED') throw error
        return { status: 0, headers: new Headers(), text: '' }
      }
    },
  }
}

/** What a real Keystone answered. */
export const recorded = (): Recording => JSON.parse(readFileSync(RECORDED, 'utf8'))
