/** Revocations for paths that end at hosts: the published list, read at most every 5 s per isolate. Without a list that fresh nobody is let in. */
import { type Env, IDENTITY_NAME } from '../../durable-objects/kernel/env.ts'
import type { Caller, Revocation } from '../../schema/values/caller.ts'
import { RevocationIndex } from '../../schema/values/revocations.ts'

export const REVOCATIONS_EVERY_MS = 5_000

interface Known {
  events: RevocationIndex
  /** Where the published list was read up to. */
  cursor: number
  read_ms: number
}

const known = new WeakMap<object, Known>()

export async function isRevoked(env: Env, caller: Caller, now_ms: number): Promise<boolean> {
  return (await fresh(env, now_ms)).events.matches(caller)
}

/** All events that the caller's token falls under. */
export async function revocationsOf(env: Env, caller: Caller, now_ms: number): Promise<Revocation[]> {
  return (await fresh(env, now_ms)).events.matching(caller)
}

/** The next request reads the list anew: for those who are told of changes. */
export const forgetRevocations = (env: Env): void => void known.delete(env)

async function fresh(env: Env, now_ms: number): Promise<Known> {
  let list = known.get(env)
  if (list === undefined) {
    list = { events: new RevocationIndex(), cursor: 0, read_ms: Number.NEGATIVE_INFINITY }
    known.set(env, list)
  }
  if (now_ms - list.read_ms >= REVOCATIONS_EVERY_MS) await read(env, list, now_ms)
  return list
}

async function read(env: Env, list: Known, now_ms: number): Promise<void> {
  list.events.drop(now_ms)
  for (;;) {
    const page = await env.IDENTITY.getByName(IDENTITY_NAME).revocations(list.cursor)
    for (const event of page.events) list.events.add(event)
    if (page.events.length === 0 || page.cursor === list.cursor) break
    list.cursor = page.cursor
  }
  list.read_ms = now_ms
}
