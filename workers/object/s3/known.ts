/** Buckets as this isolate knows them for a moment: container and S3 settings in one question; and whose a bucket is that is named without its project. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { ContainerInfo } from '../container/rows.ts'
import { KNOWN_MS, forgetAccount, forgetContainer, forgetKnown } from '../known.ts'
import { containerKey } from '../names.ts'
import type { BucketConfig } from './store.ts'

export interface Bucket {
  info: ContainerInfo
  config: BucketConfig
}

/**
 * Names by which buckets are found without their project: the first bucket of a name has it. Others of the same name are their own projects' all the same. Kept in an object that
 * is no container: no account has a name that begins with a dot.
 */
const NAMES = '.s3/names'
const ENTRIES_MAX = 2_000

const caches = new WeakMap<object, Map<string, { bucket: Bucket; until_ms: number }>>()

function cacheOf(env: Env): Map<string, { bucket: Bucket; until_ms: number }> {
  const cache = caches.get(env) ?? new Map()
  caches.set(env, cache)
  return cache
}

export async function knownBucket(env: Env, account: string, name: string, now_ms: number): Promise<Bucket | null> {
  const cache = cacheOf(env)
  const key = containerKey(account, name)
  const entry = cache.get(key)
  if (entry !== undefined && entry.until_ms > now_ms) return entry.bucket
  cache.delete(key)
  const bucket = await env.CONTAINER.getByName(key).s3Bucket()
  if (bucket === null) return null
  if (cache.size >= ENTRIES_MAX) for (const old of [...cache.keys()].slice(0, ENTRIES_MAX / 2)) cache.delete(old)
  cache.set(key, { bucket, until_ms: now_ms + KNOWN_MS })
  return bucket
}

/** After a change made here: other isolates see it within KNOWN_MS. */
export function forgetBucket(env: Env, account: string, name: string): void {
  cacheOf(env).delete(containerKey(account, name))
  forgetContainer(env, account, name)
  forgetAccount(env, account)
}

/** After a change that was passed on: what was made of it is not known here. */
export function forgetBuckets(env: Env): void {
  caches.delete(env)
  owners.delete(env)
  forgetKnown(env)
}

const names = (env: Env) => env.CONTAINER.getByName(NAMES)

const owners = new WeakMap<object, Map<string, { owner: string; until_ms: number }>>()

/** The account whose bucket has this name for everybody; null where none has. Remembered for a moment: reads of public buckets ask for it each time. */
export async function ownerOfName(env: Env, name: string, now_ms: number): Promise<string | null> {
  const cache = owners.get(env) ?? new Map<string, { owner: string; until_ms: number }>()
  owners.set(env, cache)
  const entry = cache.get(name)
  if (entry !== undefined && entry.until_ms > now_ms) return entry.owner
  cache.delete(name)
  const owner = await names(env).s3Name(name)
  if (owner === null) return null
  if (cache.size >= ENTRIES_MAX) cache.clear()
  cache.set(name, { owner, until_ms: now_ms + KNOWN_MS })
  return owner
}

/** Takes the name, unless another bucket that is there has it. */
export async function claimName(env: Env, account: string, name: string): Promise<void> {
  const owner = await names(env).s3Name(name)
  if (owner === account || (owner !== null && (await env.CONTAINER.getByName(containerKey(owner, name)).info()) !== null)) return
  await names(env).s3Claim(name, account, owner)
  owners.get(env)?.delete(name)
}

export async function releaseName(env: Env, account: string, name: string): Promise<void> {
  await names(env).s3Claim(name, null, account)
  owners.get(env)?.delete(name)
}
