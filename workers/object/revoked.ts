/** Revocations for paths that end at hosts: the published list, read at most every 5 s per isolate. Without a list that fresh nobody is let in. */
import { type Env, IDENTITY_NAME } from '../../durable-objects/kernel/env.ts'
import { type Caller, type Revocation, isRevokedBy } from '../../schema/values/caller.ts'

export const REVOCATIONS_EVERY_MS = 5_000

interface Known {
  events: Map<string, Revocation>
  /** Where the published list was read up to. */
  cursor: number
  read_ms: number
}

const known = new WeakMap<object, Known>()

export async function isRevoked(env: Env, caller: Caller, now_ms: number): Promise<boolean> {
  const list = await fresh(env, now_ms)
  for (const event of list.events.values()) if (isRevokedBy(caller, event)) return true
  return false
}

/** All events that the caller's token falls under. */
export async function revocationsOf(env: Env, caller: Caller, now_ms: number): Promise<Revocation[]> {
  return [...(await fresh(env, now_ms)).events.values()].filter((event) => isRevokedBy(caller, event))
}

/** The next request reads the list anew: for those who are told of changes. */
export const forgetRevocations = (env: Env): void => void known.delete(env)

async function fresh(env: Env, now_ms: number): Promise<Known> {
  let list = known.get(env)
  if (list === undefined) {
    list = { events: new Map(), cursor: 0, read_ms: Number.NEGATIVE_INFINITY }
    known.set(env, list)
  }
  if (now_ms - list.read_ms >= REVOCATIONS_EVERY_MS) await read(env, list, now_ms)
  return list
}

async function read(env: Env, list: Known, now_ms: number): Promise<void> {
  for (const [key, event] of list.events) if (event.expires_ms < now_ms) list.events.delete(key)
  for (;;) {
    const page = await env.IDENTITY.getByName(IDENTITY_NAME).revocations(list.cursor)
    for (const event of page.events) list.events.set(`${event.scope} ${event.subject} ${event.before_ms}`, event)
    if (page.events.length === 0 || page.cursor === list.cursor) break
    list.cursor = page.cursor
  }
  list.read_ms = now_ms
}
