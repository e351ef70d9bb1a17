/** Where hashes are computed: the second process of a single machine (env.HASHER), else this Worker. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type ScryptParams, hashPassword, verifyPassword } from './hash.ts'

export interface Hasher {
  hash(password: string, params: ScryptParams): Promise<string>
  verify(password: string, hash: string): Promise<boolean>
}

/** The password is another. */
const WRONG = 403

const local: Hasher = { hash: hashPassword, verify: verifyPassword }

export function hasherOf(env: Env): Hasher {
  const { HASHER } = env
  if (HASHER === undefined) return local
  const ask = async (path: string, body: unknown): Promise<Response> => {
    const response = await HASHER.fetch(`http://hasher${path}`, { method: 'POST', body: JSON.stringify(body) })
    if (response.ok || response.status === WRONG) return response
    throw new Fault('unavailable', 'The password service is busy. Retry in a moment.', { headers: { 'retry-after': '1' } })
  }
  return {
    hash: async (password, params) => String(((await (await ask('/hash', { password, params })).json()) as { hash?: unknown }).hash),
    verify: async (password, hash) => (await ask('/verify', { password, hash })).status !== WRONG,
  }
}
