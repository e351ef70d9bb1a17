/**
 * Who this host is: an Ed25519 key that is made here and never leaves, whose public half the plane learned when the host joined with a one-time
 * token. Every request to the plane is signed with it.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { join } from 'node:path'
import { Fault } from '../schema/values/fault.ts'
import type { Clock } from '../schema/values/time.ts'
import { type HostFiles, nodeFiles } from './host/files.ts'

export interface Identity {
  host_id: string
  /** The Authorization header of one request: method, path with query, and the time are what is signed. */
  authorization(method: string, path: string): string
  /** The plane's clock as last told: signatures carry it, so that a host with a wrong clock still gets in. */
  setOffset(offset_ms: number): void
}

export type Join = (body: { token: string; public_key: string; hostname: string }) => Promise<{ host_id: string }>

export function createIdentity(host_id: string, key: KeyObject, clock: Clock): Identity {
  let offset_ms = 0
  return {
    host_id,
    setOffset: (offset) => {
      offset_ms = offset
    },
    authorization(method, path) {
      const timestamp = Math.round(clock.now_ms() + offset_ms)
      const signature = sign(null, Buffer.from(`${method}\n${path}\n${timestamp}`), key).toString('base64url')
      return `Skyhook-Host ${host_id}:${timestamp}:${signature}`
    },
  }
}

/** base64url of the raw 32 bytes. */
export const publicKeyOf = (key: KeyObject): string => String(createPublicKey(key).export({ format: 'jwk' }).x)

/** Asks the plane to take this host in. 401/403: the token is used or too old. */
export const joinOverHttp = (plane: string): Join => async (body) => {
  const response = await fetch(new URL('/agents/v1/join', plane), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal: AbortSignal.timeout(30_000) })
  const text = await response.text()
  if (!response.ok) throw new Fault(response.status === 401 || response.status === 403 ? 'unauthorized' : 'bad_gateway', `the plane at ${plane} refused this host (${response.status}): ${text.slice(0, 300)}`)
  const answer = JSON.parse(text) as { host_id?: unknown }
  if (typeof answer.host_id !== 'string') throw new Fault('bad_gateway', `the plane at ${plane} answered the join without a host_id`)
  return { host_id: answer.host_id }
}

interface Kept {
  host_id: string
  plane: string
}

/**
 * The identity in the state folder; joins where there is none. The key is written before the plane hears of it: a crash in between leaves
 * a key nobody knows, and the next start joins with the same one.
 */
export async function loadIdentity(options: { folder: string; plane: string; hostname: string; token: string | null; clock: Clock; join: Join; files?: HostFiles }): Promise<Identity> {
  const files = options.files ?? nodeFiles
  const keyPath = join(options.folder, 'host.key')
  const idPath = join(options.folder, 'identity.json')
  let pem = await files.readText(keyPath)
  if (pem === null) {
    pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    await files.replace(keyPath, pem, 0o600)
  }
  const key = createPrivateKey(pem)
  const kept = JSON.parse((await files.readText(idPath)) ?? 'null') as Kept | null
  if (kept) return createIdentity(kept.host_id, key, options.clock)
  if (options.token === null) throw new Fault('unauthorized', `this host has not joined ${options.plane} yet: give it a token by --join`)
  const { host_id } = await options.join({ token: options.token, public_key: publicKeyOf(key), hostname: options.hostname })
  await files.replace(idPath, JSON.stringify({ host_id, plane: options.plane } satisfies Kept))
  return createIdentity(host_id, key, options.clock)
}
