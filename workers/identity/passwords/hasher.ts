/** Where hashes are computed: the second process of a single machine (env.HASHER), else this Worker. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type ScryptParams, hashPassword, verifyPassword } from './hash.ts'

export interface Hasher {
  hash(password: string, params: ScryptParams): Promise<string>
  verify(password: string, hash: string): Promise<boolean>
}

const local: Hasher = { hash: hashPassword, verify: verifyPassword }

export function hasherOf(env: Env): Hasher {
  const { HASHER } = env
  if (HASHER === undefined) return local
  const ask = async (path: string, body: unknown): Promise<Record<string, unknown>> => {
    const response = await HASHER.fetch(new Request(`http://hasher${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }))
    if (!response.ok) throw new Fault('unavailable', 'The password service is busy. Retry in a moment.', { headers: { 'retry-after': '1' } })
    return (await response.json()) as Record<string, unknown>
  }
  return {
    hash: async (password, params) => String((await ask('/hash', { password, params })).hash),
    verify: async (password, hash) => (await ask('/verify', { password, hash })).ok === true,
  }
}
