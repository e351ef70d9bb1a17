/**
 * What is stored of one object, for those who store and fetch: whole replicas (written in replicas-write.ts, read in replicas-read.ts, single calls in replica-calls.ts), or
 * the fragments of an erasure-coded policy (erasure/). Deletions, POSTs and words for listings are the same for both.
 */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ObjectHead } from '../../schema/agent/protocol.ts'
import { copiesOfFragments, findFragments, openFragments } from './erasure/read.ts'
import { putFragments } from './erasure/write.ts'
import type { ObjectName } from './names.ts'
import type { Located } from './placement.ts'
import { schemeOf } from './policies.ts'
import * as whole from './replicas-read.ts'
import * as writes from './replicas-write.ts'

export { quorumOf, streamOf } from './replica-calls.ts'
export type { Body, Copies, Found } from './replicas-read.ts'
export { deferUpdate, deleteReplicas, type PutOptions, postReplicas } from './replicas-write.ts'

type Stream = ReadableStream<Uint8Array>

export async function putReplicas(env: Env, name: ObjectName, policy: number, body: Stream | Uint8Array | null, options: writes.PutOptions, now_ms: number): Promise<ObjectHead> {
  const scheme = schemeOf(env, policy)
  return scheme === null ? await writes.putReplicas(env, name, policy, body, options, now_ms) : await putFragments(env, name, policy, scheme, body, options, now_ms)
}

export async function headReplicas(env: Env, name: ObjectName, policy: number, now_ms: number): Promise<whole.Found | null> {
  const scheme = schemeOf(env, policy)
  return scheme === null ? await whole.headReplicas(env, name, policy, now_ms) : await findFragments(env, name, policy, scheme, now_ms)
}

export async function getReplicas(env: Env, name: ObjectName, policy: number, now_ms: number): Promise<(whole.Found & { body: whole.Body }) | null> {
  const scheme = schemeOf(env, policy)
  if (scheme === null) return await whole.getReplicas(env, name, policy, now_ms)
  const found = await findFragments(env, name, policy, scheme, now_ms)
  return found === null ? null : { ...found, body: await openFragments(env, found, null, now_ms) }
}

export async function openRange(env: Env, found: whole.Found, range: [number, number] | null, now_ms: number): Promise<Stream> {
  return found.fragments === undefined ? await whole.openRange(env, found, range, now_ms) : await openFragments(env, found, range, now_ms)
}

export async function copiesOf(env: Env, at: Located, timestamp: string, now_ms: number): Promise<whole.Copies> {
  const scheme = schemeOf(env, at.policy)
  return scheme === null ? await whole.copiesOf(env, at, timestamp, now_ms) : await copiesOfFragments(env, at, scheme, timestamp, now_ms)
}
