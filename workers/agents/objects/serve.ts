/**
 * What hosts with object disks ask of the plane: rings and addresses, each other (where they have no network between them), and listings. The host is known already.
 * A host must be in the ring: what runs servers only has no business with replicas.
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { HostSync, HostSyncAnswer, ListingAnswer, ListingEntry, ListingUpdate, ReplicaQuery, RingForHosts, VersionAt } from '../../../schema/agent/replication.ts'
import type { ResealedEntry, SealedEntry } from '../../../schema/agent/sealing.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { rootIds } from '../../object/encryption/keymaster.ts'
import { resealed } from '../../object/encryption/reseal.ts'
import { bodyOf, fixed } from '../../object/object/read.ts'
import { forgetRing, holdersOf, ringDevices, ringPartition, standInsOf } from '../../object/placement.ts'
import { swiftOptions } from '../../object/options.ts'
import { policiesOf, schemeOf } from '../../object/policies.ts'
import { isFuture } from '../../object/timestamp.ts'
import { applyUpdate, checkListings } from '../../object/updates.ts'

async function isMember(env: Env, policy: number, hostId: string, now_ms: number): Promise<boolean> {
  const known = async () => (await ringDevices(env, policy, now_ms)).some((device) => device.host_id === hostId)
  if (await known()) return true
  // The ring known here may be a moment old, and the host in it since: it is turned away on the ring's own word only.
  forgetRing(env, policy)
  return await known()
}

async function needMember(env: Env, hostId: string, now_ms: number): Promise<void> {
  for (const { index } of policiesOf(env)) if (await isMember(env, index, hostId, now_ms)) return
  throw new Fault('forbidden', 'This host has no device in a ring.')
}

async function needPeer(env: Env, policy: number, from: string, to: string, now_ms: number): Promise<void> {
  if (!(await isMember(env, policy, from, now_ms)) || !(await isMember(env, policy, to, now_ms))) throw new Fault('forbidden', 'Both hosts must have a device in this ring.')
}

/** A host gives what one of its own devices has, to where it belongs, as it is: no version of another place or of the future. */
async function needVersion(env: Env, [hostId, from]: [string, VersionAt], [peer, to]: [string, VersionAt], now_ms: number): Promise<void> {
  const devices = await ringDevices(env, from.policy, now_ms)
  const has = (host: string, device: string) => devices.some((one) => one.host_id === host && one.device === device)
  const isSame = from.policy === to.policy && from.partition === to.partition && from.hash === to.hash && from.kind === to.kind && from.timestamp === to.timestamp
  const isPlaced = (await ringPartition(env, from.policy, from.hash, now_ms)) === from.partition
  if (!has(hostId, from.device) || !has(peer, to.device) || !isSame || !isPlaced || isFuture(from.timestamp.split('_')[0] ?? '', now_ms)) throw new Fault('forbidden', 'This version does not go there.')
}

export async function hostSync(env: Env, hostId: string, sync: HostSync): Promise<HostSyncAnswer> {
  const rings: RingForHosts[] = []
  const limits = swiftOptions(env).object_services ?? {}
  for (const { index } of policiesOf(env)) {
    const object = env.RING.getByName(String(index))
    if (index === 0 || schemeOf(env, index) !== null || sync.drained.some(([policy]) => policy === index)) await object.report(hostId, sync.recon, sync.drained.filter(([policy]) => policy === index).map(([, device, partition]): [number, number] => [device, partition]))
    const ring = await object.forHosts(index, sync.revisions[String(index)] ?? '')
    if (ring !== null) rings.push({ ...ring, limits })
  }
  return { rings, limits, roots: rootIds(env) }
}

export async function hostQuery(env: Env, hostId: string, peer: string, query: ReplicaQuery, now_ms: number): Promise<unknown> {
  await needPeer(env, query.policy, hostId, peer, now_ms)
  return await env.HOST.getByName(peer).objectQuery(query)
}

/** The bytes go from link to link: no body passes this request, so that none is too large. */
export async function hostRelay(env: Env, hostId: string, peer: string, from: VersionAt, to: VersionAt, now_ms: number): Promise<{ taken: boolean }> {
  await needPeer(env, from.policy, hostId, peer, now_ms)
  await needVersion(env, [hostId, from], [peer, to], now_ms)
  const { stored, body } = await env.HOST.getByName(hostId).objectRead(from)
  return await env.HOST.getByName(peer).objectReceive({ ...to, stored }, body)
}

/** A fragment of a peer, for a host that computes another one of the same object: it must hold that partition, and the peer too, or stand in for one that does. */
export async function hostFragment(env: Env, hostId: string, peer: string, at: Omit<VersionAt, 'kind'>, now_ms: number): Promise<Response> {
  const holders = await holdersOf(env, at.policy, at.partition, now_ms)
  const isOf = (devices: readonly { host_id: string }[], host: string) => devices.some((device) => device.host_id === host)
  const isGiver = isOf(holders, peer) || isOf(await standInsOf(env, at.policy, at.partition, now_ms), peer)
  if (schemeOf(env, at.policy) === null || !isOf(holders, hostId) || !isGiver) throw new Fault('forbidden', 'Both hosts must hold fragments of this partition.')
  const { stored, body } = await env.HOST.getByName(peer).objectRead({ ...at, kind: 'data' })
  const json = new TextEncoder().encode(JSON.stringify(stored))
  const head = new Uint8Array(LENGTH_BYTES + json.byteLength)
  new DataView(head.buffer).setUint32(0, json.byteLength)
  head.set(json, LENGTH_BYTES)
  const length = head.byteLength + (stored.size_bytes ?? 0)
  const whole = fixed(bodyOf({ length, parts: [async () => head, async () => body] }), length)
  return new Response(whole as BodyInit, { headers: { 'content-type': 'application/octet-stream' } })
}
const LENGTH_BYTES = 4

export async function hostUpdates(env: Env, hostId: string, updates: ListingUpdate[], now_ms: number): Promise<ListingAnswer> {
  await needMember(env, hostId, now_ms)
  const done: boolean[] = []
  for (const update of updates) done.push(await applyUpdate(env, hostId, update, now_ms))
  return { done }
}

export async function hostListings(env: Env, hostId: string, entries: ListingEntry[], now_ms: number): Promise<{ changed: number; orphans: number }> {
  await needMember(env, hostId, now_ms)
  return await checkListings(env, hostId, entries, now_ms)
}

/** Records under an older root secret, sealed anew. What a host brings it has already, and it learns nothing of what is in them. */
export async function hostReseal(env: Env, hostId: string, entries: readonly SealedEntry[], now_ms: number): Promise<{ entries: (ResealedEntry | null)[] }> {
  await needMember(env, hostId, now_ms)
  return { entries: await Promise.all(entries.map((entry) => resealed(env, entry))) }
}
