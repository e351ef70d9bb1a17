/** What this Swift can do: GET /info. Clients and Tempest decide by it what to use. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import { isEncrypting } from './encryption/keymaster.ts'
import { ownCluster, realmsOf } from './features/sync-realms.ts'
import { CONTAINERS_PER_EXTRACTION_MAX, FAILED_EXTRACTIONS_MAX } from './features/bulk-upload.ts'
import { DELETES_MAX } from './features/bulk-delete.ts'
import { SEGMENTS_MAX, YIELD_EVERY_MS } from './features/slo.ts'
import { SYMLOOP_MAX } from './features/symlink.ts'
import { DIGESTS } from './features/tempurl.ts'
import { LIMITS } from './headers.ts'
import { MANIFEST_BYTES_MAX } from './object/large.ts'
import { swiftOptions } from './options.ts'
import { policiesOf, defaultPolicy } from './policies.ts'
import { limitsShown } from './throttle.ts'

export function capabilities(env: Env): Record<string, unknown> {
  const policies = policiesOf(env).filter((policy) => policy.deprecated !== true).map(({ index, name, aliases = [] }) => ({ name, aliases: [name, ...aliases].join(', '), ...(index === defaultPolicy(env) ? { default: true } : {}) }))
  const { ratelimit, read_only, etag_quoter, domain_remap } = swiftOptions(env)
  return {
    swift: { ...LIMITS, version: '2.30.1', strict_cors_mode: true, allow_account_management: true, account_autocreate: true, policies },
    account_quotas: {}, container_quotas: {}, staticweb: {}, crossdomain: {}, keystoneauth: {},
    ...(isEncrypting(env) ? { encryption: { enabled: true } } : {}),
    ...(ratelimit === undefined ? {} : { ratelimit: limitsShown(ratelimit) }), ...(read_only === true ? { read_only: {} } : {}),
    bulk_upload: { max_containers_per_extraction: CONTAINERS_PER_EXTRACTION_MAX, max_failed_extractions: FAILED_EXTRACTIONS_MAX },
    bulk_delete: { max_deletes_per_request: DELETES_MAX, max_failed_deletes: 1_000 },
    slo: { max_manifest_segments: SEGMENTS_MAX, max_manifest_size: MANIFEST_BYTES_MAX, min_segment_size: 1, yield_frequency: YIELD_EVERY_MS / 1_000, allow_async_delete: true },
    dlo: { max_segments: 10_000 },
    tempurl: { methods: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'], allowed_digests: DIGESTS, incoming_remove_headers: ['x-timestamp'], incoming_allow_headers: [], outgoing_remove_headers: ['x-object-meta-*'], outgoing_allow_headers: ['x-object-meta-public-*'] },
    formpost: { allowed_digests: DIGESTS },
    ...(etag_quoter === undefined ? {} : { etag_quoter: { enable_by_default: etag_quoter.enable_by_default === true } }),
    ...(domain_remap === undefined ? {} : { domain_remap: { default_reseller_prefix: domain_remap.default_reseller_prefix ?? null } }),
    container_sync: { realms: syncRealms(env) },
    object_versioning: {}, symlink: { symloop_max: SYMLOOP_MAX, static_links: true },
    versioned_writes: { allowed_flags: ['x-versions-location', 'x-history-location'] },
  }
}

/** Clusters that X-Container-Sync-To may name, this one among them. */
function syncRealms(env: Env): Record<string, { clusters: Record<string, { current?: true }> }> {
  const { realm, cluster } = ownCluster(env)
  const realms: Record<string, { clusters: Record<string, { current?: true }> }> = {}
  for (const [name, { clusters }] of Object.entries(realmsOf(env))) realms[name] = { clusters: Object.fromEntries(Object.keys(clusters).map((one) => [one, {}])) }
  const own = Object.keys(realms).find((name) => name === realm.toUpperCase()) ?? realm
  const at = Object.keys(realms[own]?.clusters ?? {}).find((name) => name === cluster.toUpperCase()) ?? cluster
  realms[own] = { clusters: { ...realms[own]?.clusters, [at]: { current: true } } }
  return realms
}
