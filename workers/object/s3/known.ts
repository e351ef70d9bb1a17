/** Buckets as this isolate knows them for a moment: container and S3 settings in one question; and whose a bucket is that is named without its project. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { ContainerInfo } from '../container/rows.ts'
import { KNOWN_MS, forgetAccount, forgetContainer } from '../known.ts'
import { containerKey } from '../names.ts'
import { timestampOf } from '../timestamp.ts'
import type { BucketConfig } from './store.ts'

export interface Bucket {
  info: ContainerInfo
  config: BucketConfig
}

/**
 * Names by which buckets are found without their project: the first bucket of a name has it, as a row of a listing that no account can reach. Others of the same name are
 * their own projects' all the same.
 */
const NAMES = { account: '.s3', container: 'names' } as const
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

const names = (env: Env) => env.CONTAINER.getByName(containerKey(NAMES.account, NAMES.container))

/** The account whose bucket has this name for everybody; null where none has. */
export async function ownerOfName(env: Env, name: string): Promise<string | null> {
  return (await names(env).object(name))?.etag ?? null
}

/** Takes the name, unless another bucket that is there has it. */
export async function claimName(env: Env, account: string, name: string, now_ms: number): Promise<void> {
  const owner = await ownerOfName(env, name)
  if (owner === account || (owner !== null && (await env.CONTAINER.getByName(containerKey(owner, name)).info()) !== null)) return
  const enter = async () => {
    const begun = await names(env).begin(name)
    const at = begun?.timestamp ?? timestampOf(now_ms)
    return await names(env).putObject({ name, at, modified_at: at, size: 0, etag: account, content_type: '', delete_at: null, slo_etag: null, slo_size: null, version: '', extra: null })
  }
  if ((await names(env).info()) === null) await names(env).put(NAMES.account, NAMES.container, null, {})
  await enter()
}

export async function releaseName(env: Env, account: string, name: string): Promise<void> {
  if ((await ownerOfName(env, name)) !== account) return
  const begun = await names(env).begin(name)
  if (begun !== null) await names(env).deleteObject(name, begun.timestamp)
}
