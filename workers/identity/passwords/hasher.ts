/** Where hashes are computed: the second process of a single machine (env.HASHER), else this Worker. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { PASSWORD_CHARS_MAX, type ScryptParams, hashPassword, verifyPassword } from './hash.ts'
import { PROOF_HEADER, writeProof } from './proof.ts'

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
  return {
    hash: async (password, params) => {
      const response = await HASHER.fetch('http://hasher/hash', { method: 'POST', body: JSON.stringify({ password, params }) })
      if (response.status !== HASHED) throw busy()
      return String(((await response.json()) as { hash?: unknown }).hash)
    },
    verify: async (password, hash) => {
      // As verifyPassword; a header has its bounds too.
      if (password.length > PASSWORD_CHARS_MAX) return false
      const { status } = await HASHER.fetch('http://hasher/verify', { headers: { [PROOF_HEADER]: writeProof({ password, hash }) } })
      // Anything else, from a service of another version say, is no word about the password.
      if (status !== RIGHT && status !== WRONG) throw busy()
      return status === RIGHT
    },
  }
}
