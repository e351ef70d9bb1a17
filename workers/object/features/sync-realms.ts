/**
 * Clusters that containers may be synced with, and the signature between them (swift/common/container_sync_realms.py): a realm is a secret that operators share, with the address of
 * each cluster in it. SYNC_REALMS is JSON: {"US":{"key":"...","key2":"...","clusters":{"DFW":"https://dfw.example/object-store/v1/"}}}. Names are without case.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { swiftFault } from '../errors.ts'
import { swiftOptions } from '../options.ts'

export interface Realm {
  key: string
  /** Taken as well, while keys are changed. */
  key2?: string
  clusters: Record<string, string>
}

export interface SyncTarget {
  account: string
  container: string
  /** Null where it is a container of this cloud. */
  far: { realm: string; key: string; endpoint: string } | null
}

const upper = <T>(record: Record<string, T>): Record<string, T> => Object.fromEntries(Object.entries(record).map(([name, value]) => [name.toUpperCase(), value]))

let parsed: { text: string; realms: Record<string, Realm> } = { text: '', realms: {} }

export function realmsOf({ SYNC_REALMS: text = '' }: Pick<Env, 'SYNC_REALMS'>): Record<string, Realm> {
  if (parsed.text === text) return parsed.realms
  const realms = upper(JSON.parse(text === '' ? '{}' : text) as Record<string, Realm>)
  for (const [name, realm] of Object.entries(realms)) {
    if (typeof realm.key !== 'string' || realm.key === '') throw new Error(`SYNC_REALMS: the realm ${name} has no key`)
    realm.clusters = upper(realm.clusters ?? {})
    for (const [cluster, endpoint] of Object.entries(realm.clusters)) if (!/^https?:\/\/[^/?#]+\/[^?#]*$/.test(endpoint)) throw new Error(`SYNC_REALMS: the address of ${name}/${cluster} is no http(s) URL with a path`)
  }
  parsed = { text, realms }
  return realms
}

/** The name under which this cloud is known. */
export function ownCluster(env: Pick<Env, 'OPTIONS'>): { realm: string; cluster: string } {
  const given = swiftOptions(env).container_sync
  return { realm: given?.realm ?? 'realm1', cluster: given?.cluster ?? 'name1' }
}

/** '//realm/cluster/account/container', as X-Container-Sync-To has it. Anything else would let a tenant make the cloud call an address of theirs. */
export function syncTarget(env: Pick<Env, 'OPTIONS' | 'SYNC_REALMS'>, text: string): SyncTarget {
  const match = /^\/\/([^/]+)\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(text)
  if (match === null) throw swiftFault(400, 'Invalid X-Container-Sync-To: //realm/cluster/account/container is needed')
  const [, realm = '', cluster = '', account = '', container = ''] = match
  const own = ownCluster(env)
  if (realm.toUpperCase() === own.realm.toUpperCase() && cluster.toUpperCase() === own.cluster.toUpperCase()) return { account, container, far: null }
  const known = realmsOf(env)[realm.toUpperCase()]
  const endpoint = known?.clusters[cluster.toUpperCase()]
  if (known === undefined || endpoint === undefined) throw swiftFault(400, `No cluster endpoint for ${JSON.stringify(realm)} ${JSON.stringify(cluster)}`)
  return { account, container, far: { realm: realm.toUpperCase(), key: known.key, endpoint } }
}

/** `path` as it is in the request's URL; `secret` is the container's own. */
export const syncSignature = (method: string, path: string, timestamp: string, nonce: string, key: string, secret: string): string => createHmac('sha1', key).update(`${method}\n${path}\n${timestamp}\n${nonce}\n${secret}`).digest('hex')

export function isSyncSignature(given: string, realm: Realm, ...[method, path, timestamp, nonce, secret]: [method: string, path: string, timestamp: string, nonce: string, secret: string]): boolean {
  const bytes = Buffer.from(given)
  return [realm.key, realm.key2].filter((key) => key !== undefined && key !== '').some((key) => {
    const wanted = Buffer.from(syncSignature(method, path, timestamp, nonce, key ?? '', secret))
    return wanted.length === bytes.length && timingSafeEqual(wanted, bytes)
  })
}
