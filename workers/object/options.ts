/** Settings of the object store: the `swift` part of env.OPTIONS (JSON). Names follow Swift's own configuration. */
import type { ObjectServiceLimits } from '../../schema/agent/replication.ts'
import type { Env } from '../../durable-objects/kernel/env.ts'

export interface PolicyOption {
  /** Names the ring. Never used for another policy again. */
  index: number
  name: string
  aliases?: string[]
  default?: boolean
  /** What is there is served; no new containers. */
  deprecated?: boolean
  /** Of a ring that is yet to be made. */
  replicas?: number
  /** What is stored of an object: whole copies, or fragments of it. Never changed for a policy that has objects. */
  policy_type?: 'replication' | 'erasure_coding'
  /** erasure_coding: fragments that an object is cut into, and fragments beside them: so many may be lost. */
  ec_num_data_fragments?: number
  ec_num_parity_fragments?: number
  /** Bytes that are encoded at a time (1 MiB). */
  ec_object_segment_size?: number
}

export interface RateLimits {
  /** PUT and DELETE of containers, per second and account; 0 is no limit. */
  account_ratelimit?: number
  max_sleep_time_seconds?: number
  rate_buffer_seconds?: number
  account_whitelist?: string[]
  account_blacklist?: string[]
  /** container_ratelimit_SIZE and container_listing_ratelimit_SIZE: requests per second from that many objects on. */
  [size: string]: number | string[] | undefined
}

export interface SwiftOptions {
  /** Containers and accounts may ask for Etags in quotes; `enable_by_default`: where neither says. */
  etag_quoter?: { enable_by_default?: boolean }
  /** Hosts below a storage domain name accounts and containers. */
  domain_remap?: { storage_domain: string | string[]; default_reseller_prefix?: string; mangle_client_paths?: boolean }
  container_sync?: { realm?: string; cluster?: string }
  /** A header in which a trusted proxy before this server names the client (its last entry counts). */
  client_ip_header?: string
  read_only?: boolean
  /** With read_only: deletions go on. */
  allow_deletes?: boolean
  ratelimit?: RateLimits
  /** Objects from which on a container's listing (or a part of it) is split. */
  shard_container_threshold?: number
  /** Seconds that a deleted account is kept before its containers go. */
  delay_reaping?: number
  /** What is written from now on is encrypted on the disks; what is there stays as it is, and readable. */
  encryption?: boolean
  storage_policies?: PolicyOption[]
  /** Rates and times of auditor, replicator and updater, per device. */
  object_services?: Partial<ObjectServiceLimits>
}

/** A day to change one's mind. */
export const DELAY_REAPING_S = 86_400

const parsed = new Map<string, SwiftOptions>()

export function swiftOptions(env: Pick<Env, 'OPTIONS'>): SwiftOptions {
  const text = env.OPTIONS ?? ''
  if (text === '') return {}
  const known = parsed.get(text)
  if (known !== undefined) return known
  const options = (JSON.parse(text) as { swift?: SwiftOptions }).swift ?? {}
  parsed.clear()
  parsed.set(text, options)
  return options
}
