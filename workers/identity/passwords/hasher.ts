/** Where hashes are computed: the second process of a single machine (env.HASHER), else this Worker. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type ScryptParams, hashPassword, verifyPassword } from './hash.ts'

export interface Hasher {
  hash(password: string, params: ScryptParams): Promise<string>
  verify(password: string, hash: string): Promise<boolean>
}

/** What the service answers (workers/hasher). */
const HASHED = 200
const RIGHT = 204
const WRONG = 403

const busy = () => new Fault('unavailable', 'The password service is busy. Retry in a moment.', { headers: { 'retry-after': '1' } })

const local: Hasher = { hash: hashPassword, verify: verifyPassword }

export function hasherOf(env: Env): Hasher {
  const { HASHER } = env
  if (HASHER === undefined) return local
  const ask = (path: string, body: unknown): Promise<Response> => HASHER.fetch(`http://hasher${path}`, { method: 'POST', body: JSON.stringify(body) })
  return {
    hash: async (password, params) => {
      const response = await ask('/hash', { password, params })
      if (response.status !== HASHED) throw busy()
      return String(((await response.json()) as { hash?: unknown }).hash)
    },
    verify: async (password, hash) => {
      const { status } = await ask('/verify', { password, hash })
      // Anything else, from a service of another version say, is no word about the password.
      if (status !== RIGHT && status !== WRONG) throw busy()
      return status === RIGHT
    },
  }
}
