/** How a recording is made: of a cloud somewhere, or from the file that a real Keystone's answers are kept in. */
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { AUDIENCE, CLIENT, type RunningProvider } from '../support/oidc.ts'
import type { Explanation, Recording } from './compare.ts'
import { script } from './script/index.ts'
import { type Cloud, type Raw, Side, type Vouch } from './side.ts'

export const RECORDED = join(import.meta.dirname, 'keystone.json')
export const explained = (): Explanation[] => JSON.parse(readFileSync(join(import.meta.dirname, 'explained.json'), 'utf8'))

export async function record(cloud: Cloud, run: string): Promise<Recording> {
  const side = new Side(cloud, run)
  await script(side)
  return side.records
}

/** To Keystone a provider is what the web server's module puts into the environment: as headers do, where there is no such module. */
const byHeaders: Vouch = async (subject, claims) => Object.fromEntries(Object.entries({ sub: subject, iss: 'https://idp.example.org', ...claims }).map(([name, value]) => [`oidc-${name}`, value]))

/** Skyhook asks the provider itself: a real one, that runs here. It must be told that issuers may be on loopback (identity.federation.loopback_issuers). */
export async function byProvider(side: Side, protocol: string, provider: RunningProvider): Promise<Vouch> {
  await side.call('PUT', `${protocol}/oidc`, { quiet: true, json: { oidc: { issuer: provider.issuer, client_id: CLIENT.id, client_secret: CLIENT.secret, audiences: [AUDIENCE] } } })
  return async (subject, claims) => {
    provider.accounts.set(subject, { password: 'pw', claims })
    const { access_token } = await provider.grant({ grant_type: 'password', username: subject, password: 'pw' })
    return { authorization: `Bearer ${access_token}` }
  }
}

/** A cloud somewhere. A connection for each request: uWSGI closes them without a word. What breaks off without an answer is status 0. */
export function remote(root: string, password: string, provider: RunningProvider | null = null): Cloud {
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
    provider: async (side, protocol) => (provider === null ? byHeaders : await byProvider(side, protocol, provider)),
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
