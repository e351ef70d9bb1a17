/** Hosts of the region: joined with a one-time token, known by their own key, up while they answer echoes. Runs in the Region object. */
import { RpcTarget } from 'cloudflare:workers'
import { createHash } from 'node:crypto'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import type { DoorHost } from '../../../schema/agent/door.ts'
import type { HostFacts, HostRole } from '../../../schema/agent/observed.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'

export interface HostRow {
  id: string
  name: string
  facts: HostFacts | null
  up: boolean
  seen_ms: number
  joined_ms: number
  updated_ms: number
  availability_zone: string
  disabled: boolean
  disabled_reason: string | null
  forced_down: boolean
  /** Where its door answers, where an administrator made it one. */
  door_url: string | null
}

export const JOIN_TOKEN_LIFE_MS = 24 * 3_600_000
const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')

export class HostsStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(): HostRow[] {
    return this.#rows('SELECT * FROM hosts ORDER BY name').map(toHost)
  }

  get(idOrName: string): HostRow {
    const [row] = this.#rows('SELECT * FROM hosts WHERE id = ? OR name = ?', idOrName, idOrName)
    if (row === undefined) throw new Fault('not_found', `Host ${idOrName} could not be found.`)
    return toHost(row)
  }

  /** Hosts that may take new things: up, enabled, not forced down, with the role. */
  available(role: HostRole): HostRow[] {
    return this.list().filter((host) => host.up && !host.disabled && !host.forced_down && host.facts?.roles.includes(role) === true)
  }

  set(id: string, change: { disabled?: boolean; disabled_reason?: string | null; forced_down?: boolean; availability_zone?: string; door_url?: string | null }): HostRow {
    const host = { ...this.get(id), ...change }
    this.#deps.commit(this.#caller, (tx) => {
      this.#rows('UPDATE hosts SET disabled = ?, disabled_reason = ?, forced_down = ?, availability_zone = ?, door_url = ?, updated_ms = ? WHERE id = ?', host.disabled ? 1 : 0, host.disabled_reason, host.forced_down ? 1 : 0, host.availability_zone, host.door_url, tx.now_ms, host.id)
      tx.change('host', host.id, 'update', null, change)
    })
    return this.get(host.id)
  }

  /** A new one-time token (`uses` hosts may join with it). Only its hash is kept. */
  createJoinToken(options: { uses?: number; life_ms?: number } = {}): { token: string; expires_ms: number } {
    const token = `join-${Buffer.from(this.#deps.random.bytes(24)).toString('base64url')}`
    const now = this.#deps.clock.now_ms()
    const expires_ms = now + (options.life_ms ?? JOIN_TOKEN_LIFE_MS)
    this.#rows('INSERT INTO join_tokens (token_hash, created_ms, expires_ms, uses_left, created_by) VALUES (?, ?, ?, ?, ?)', hashOf(token), now, expires_ms, options.uses ?? 1, this.#caller.user_id)
    return { token, expires_ms }
  }

  join(token: string, publicKey: string, hostname: string): HostRow {
    const now = this.#deps.clock.now_ms()
    const [known] = this.#rows('SELECT * FROM hosts WHERE public_key = ?', publicKey)
    if (known !== undefined) return toHost(known)
    return this.#deps.commit(this.#caller, (tx) => {
      this.#useToken(token, now)
      const id = this.#deps.ids.uuid()
      let name = hostname
      for (let n = 2; this.#rows('SELECT id FROM hosts WHERE name = ?', name).length > 0; n++) name = `${hostname}-${n}`
      this.#rows('INSERT INTO hosts (id, name, public_key, joined_ms, updated_ms) VALUES (?, ?, ?, ?, ?)', id, name, publicKey, now, now)
      tx.change('host', id, 'create', null, { id, name })
      return this.get(id)
    })
  }

  /** Public halves of all hosts, by id. */
  keys(): Record<string, string> {
    return Object.fromEntries(this.#rows('SELECT id, public_key FROM hosts').map((row) => [String(row.id), String(row.public_key)]))
  }

  key(id: string): { public_key: string } | null {
    const [row] = this.#rows('SELECT public_key FROM hosts WHERE id = ?', id)
    return row === undefined ? null : { public_key: String(row.public_key) }
  }

  /** Every host's key and door: doors know each other by them. */
  doors(): DoorHost[] {
    return this.#rows('SELECT id, public_key, door_url, up FROM hosts ORDER BY id').map((row) => ({ id: String(row.id), public_key: String(row.public_key), door_url: row.door_url === null ? null : String(row.door_url), up: row.up === 1 }))
  }

  report(id: string, up: boolean, facts: HostFacts | null): void {
    const now = this.#deps.clock.now_ms()
    if (facts === null) this.#rows('UPDATE hosts SET up = ?, seen_ms = ? WHERE id = ?', up ? 1 : 0, now, id)
    else this.#rows('UPDATE hosts SET up = ?, seen_ms = ?, updated_ms = ?, facts = ? WHERE id = ?', up ? 1 : 0, now, now, JSON.stringify(facts), id)
  }

  #useToken(token: string, now: number): void {
    const hash = hashOf(token)
    const [row] = this.#rows('SELECT expires_ms, uses_left FROM join_tokens WHERE token_hash = ?', hash)
    if (row === undefined) throw new Fault('unauthorized', 'This join token is not known. Ask for a new one: skyhook host token.')
    if (Number(row.expires_ms) <= now) throw new Fault('unauthorized', 'This join token has expired. Ask for a new one: skyhook host token.')
    if (Number(row.uses_left) <= 0) throw new Fault('unauthorized', 'This join token was used already. Ask for a new one: skyhook host token.')
    this.#rows('UPDATE join_tokens SET uses_left = uses_left - 1 WHERE token_hash = ?', hash)
  }

  #rows(query: string, ...bindings: unknown[]): Record<string, unknown>[] {
    return this.#deps.storage.sql.exec(query, ...(bindings as never[])).toArray() as Record<string, unknown>[]
  }
}

function toHost(row: Record<string, unknown>): HostRow {
  return {
    id: String(row.id), name: String(row.name), facts: row.facts === null ? null : (JSON.parse(String(row.facts)) as HostFacts), up: row.up === 1, seen_ms: Number(row.seen_ms), joined_ms: Number(row.joined_ms),
    updated_ms: Number(row.updated_ms), availability_zone: String(row.availability_zone), disabled: row.disabled === 1, disabled_reason: row.disabled_reason === null ? null : String(row.disabled_reason), forced_down: row.forced_down === 1,
    door_url: row.door_url == null ? null : String(row.door_url),
  }
}
