/** What the Worker remembers of accounts and containers for a moment (ACLs, quotas, keys), so that a read costs no hop for them. Writes in this isolate forget at once. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { AccountInfo } from './account/store.ts'
import type { ContainerInfo } from './container/store.ts'
import { containerKey } from './names.ts'

export const KNOWN_MS = 1_000
const ENTRIES_MAX = 2_000

interface Entry {
  value: unknown
  until_ms: number
}

const caches = new WeakMap<object, Map<string, Entry>>()

function cacheOf(env: Env): Map<string, Entry> {
  let cache = caches.get(env)
  if (cache === undefined) {
    cache = new Map()
    caches.set(env, cache)
  }
  return cache
}

async function known<T>(env: Env, key: string, now_ms: number, read: () => Promise<T | null>): Promise<T | null> {
  const cache = cacheOf(env)
  const entry = cache.get(key)
  if (entry !== undefined && entry.until_ms > now_ms) return entry.value as T
  let value: T | null
  try {
    value = await read()
  } catch (error) {
    // An object that does not answer: what was known a moment ago is better than no read at all.
    if (entry === undefined) throw error
    return entry.value as T
  }
  // What is not there is not remembered: it may be made elsewhere the next moment.
  if (value === null) cache.delete(key)
  else cache.set(key, { value, until_ms: now_ms + KNOWN_MS })
  if (cache.size > ENTRIES_MAX) for (const old of [...cache.keys()].slice(0, ENTRIES_MAX / 2)) cache.delete(old)
  return value
}

export const knownAccount = (env: Env, account: string, now_ms: number): Promise<AccountInfo | null> => known(env, `a ${account}`, now_ms, () => env.ACCOUNT.getByName(account).info())
export const knownContainer = (env: Env, account: string, container: string, now_ms: number): Promise<ContainerInfo | null> =>
  known(env, `c ${containerKey(account, container)}`, now_ms, () => env.CONTAINER.getByName(containerKey(account, container)).info())

export const forgetAccount = (env: Env, account: string): void => void cacheOf(env).delete(`a ${account}`)
export const forgetContainer = (env: Env, account: string, container: string): void => void cacheOf(env).delete(`c ${containerKey(account, container)}`)
export const forgetKnown = (env: Env): void => void caches.delete(env)
