/** What simulated hosts ask of the plane for their object disks, by path and JSON: the routes without HTTP and signatures, so that virtual time need not wait for them. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { HostSync, ListingEntry, ListingUpdate, ReplicaQuery, VersionAt } from '../../schema/agent/replication.ts'
import type { SealedEntry } from '../../schema/agent/sealing.ts'
import { Fault } from '../../schema/values/fault.ts'
import { hostFragment, hostListings, hostQuery, hostRelay, hostReseal, hostSync, hostUpdates } from '../../workers/agents/objects/serve.ts'

export async function serveHost(env: Env, hostId: string, path: string, body: unknown, now_ms: number): Promise<unknown> {
  const peer = /^\/agents\/v1\/objects\/peers\/([^/]+)\/(query|relay)$/.exec(path)
  const given = body as { query: ReplicaQuery; from: VersionAt; to: VersionAt; updates: ListingUpdate[]; entries: ListingEntry[] }
  if (peer?.[2] === 'query') return await hostQuery(env, hostId, peer[1] ?? '', given.query, now_ms)
  if (peer?.[2] === 'relay') return await hostRelay(env, hostId, peer[1] ?? '', given.from, given.to, now_ms)
  switch (path) {
    case '/agents/v1/objects/sync': return await hostSync(env, hostId, body as HostSync)
    case '/agents/v1/objects/updates': return await hostUpdates(env, hostId, given.updates, now_ms)
    case '/agents/v1/objects/reseal': return await hostReseal(env, hostId, (body as { entries: SealedEntry[] }).entries, now_ms)
    case '/agents/v1/objects/listings': return await hostListings(env, hostId, given.entries, now_ms)
    default: throw new Fault('not_found', `no path ${path}`)
  }
}

/** A fragment of a peer, as a body. */
export async function serveFragment(env: Env, hostId: string, url: URL, now_ms: number): Promise<AsyncIterable<Uint8Array> | null> {
  const peer = /^\/agents\/v1\/objects\/peers\/([^/]+)\/fragment$/.exec(url.pathname)?.[1]
  if (peer === undefined) return null
  const text = (name: string): string => url.searchParams.get(name) ?? ''
  const at = { device: text('device'), policy: Number(text('policy')), partition: Number(text('partition')), hash: text('hash'), timestamp: text('timestamp'), fragment: Number(text('fragment')) }
  return (await hostFragment(env, hostId, peer, at, now_ms)).body as unknown as AsyncIterable<Uint8Array>
}
