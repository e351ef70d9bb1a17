/**
 * Console tokens: one for each request for a console, kept as a hash, bound to user, server and the machine's incarnation, short-lived and used up by the first
 * connection. The token begins with its project, so that the proxy finds the object that knows it.
 */
import { RpcTarget } from 'cloudflare:workers'
import { createHash } from 'node:crypto'
import { eq, lt } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { consoleTokens } from '../../../schema/project/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { liveServer } from '../servers/rows.ts'

/** nova/conf/consoleauth.py: token_ttl. */
export const CONSOLE_TOKEN_LIFE_MS = 600_000

export interface ConsoleGrant {
  /** Who asked for it, by which token: who lost the right meanwhile does not get in, and does not stay. */
  caller: Caller
  incarnation: number
  server_id: string
  host_id: string
  host_name: string
  type: string
  expires_ms: number
}

const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')
const unknown = () => new Fault('not_found', 'Token not found')

export class Consoles extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  /** A running server's console: a token good for one connection. */
  grant(serverId: string, type: string): { token: string; expires_ms: number } {
    return this.#deps.commit(this.#caller, (tx) => {
      const row = liveServer(tx.db, serverId)
      if (row.host_id === null || row.vm_state === 'building' || row.task_state === 'deleting') throw new Fault('conflict', 'Instance not yet ready')
      if (row.vm_state === 'stopped' || row.vm_state === 'shelved' || row.vm_state === 'suspended') throw new Fault('conflict', `Instance ${serverId} is not in a state with a console: it is ${row.vm_state}.`)
      const token = `${this.#deps.name}.${Buffer.from(this.#deps.random.bytes(24)).toString('base64url')}`
      const expires_ms = tx.now_ms + CONSOLE_TOKEN_LIFE_MS
      tx.db.delete(consoleTokens).where(lt(consoleTokens.expires_ms, tx.now_ms)).run()
      tx.db.insert(consoleTokens).values({ token_hash: hashOf(token), server_id: serverId, type, incarnation: row.incarnation, user_id: this.#caller.user_id, caller: this.#caller, expires_ms }).run()
      return { token, expires_ms }
    })
  }

  /** What a token is for; Fault not_found where it is unknown, expired, or its machine is another by now. */
  check(token: string): ConsoleGrant {
    const now = this.#deps.clock.now_ms()
    const found = this.#deps.db.select().from(consoleTokens).where(eq(consoleTokens.token_hash, hashOf(token))).get()
    if (found === undefined || found.caller === null || found.expires_ms <= now) throw unknown()
    const row = liveServer(this.#deps.db, found.server_id)
    if (row.incarnation !== found.incarnation || row.host_id === null) throw unknown()
    return { caller: found.caller, incarnation: row.incarnation, server_id: row.id, host_id: row.host_id, host_name: row.host_name ?? '', type: found.type, expires_ms: found.expires_ms }
  }

  /** As check, and the token is used up. */
  redeem(token: string): ConsoleGrant {
    return this.#deps.commit(this.#caller, (tx) => {
      const grant = this.check(token)
      tx.db.delete(consoleTokens).where(eq(consoleTokens.token_hash, hashOf(token))).run()
      return grant
    })
  }
}
