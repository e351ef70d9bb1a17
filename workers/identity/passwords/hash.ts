/**
 * Password hashes: scrypt with its parameters beside each hash ($scrypt$ln=14,r=8,p=2$salt$key, passlib's notation), so that they can be raised at any
 * time and old hashes still verify; hashes that a Keystone wrote are read by foreign.ts. Costs tens of milliseconds of one thread: runs in the hasher process or an edge Worker, never in an object.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { isForeign, verifyForeign } from './foreign.ts'

export interface ScryptParams {
  ln: number
  r: number
  p: number
}

const KEY_BYTES = 32
const SALT_BYTES = 16
const LIMITS = { ln: 20, r: 32, p: 16 }
/** Longer passwords are cut by nobody and refused by the API: a hash must have a bounded cost. */
export const PASSWORD_CHARS_MAX = 4_096

interface Parsed extends ScryptParams {
  salt: Buffer
  key: Buffer
}

export function parseHash(text: string): Parsed | null {
  const match = /^\$scrypt\$ln=(\d+),r=(\d+),p=(\d+)\$([A-Za-z0-9_+/-]+)\$([A-Za-z0-9_+/-]+)$/.exec(text)
  if (match === null) return null
  const [, ln, r, p, salt, key] = match
  const params = { ln: Number(ln), r: Number(r), p: Number(p) }
  if (params.ln > LIMITS.ln || params.r > LIMITS.r || params.p > LIMITS.p) return null
  return { ...params, salt: Buffer.from(salt ?? '', 'base64url'), key: Buffer.from(key ?? '', 'base64url') }
}

export const sameParams = (hash: string, params: ScryptParams): boolean => {
  const parsed = parseHash(hash)
  return parsed !== null && parsed.ln === params.ln && parsed.r === params.r && parsed.p === params.p
}

function derive(password: string, salt: Buffer, params: ScryptParams): Promise<Buffer> {
  const N = 2 ** params.ln
  return new Promise((resolve, reject) => {
    scrypt(password, salt, KEY_BYTES, { N, r: params.r, p: params.p, maxmem: 256 * N * params.r + 1024 * 1024 }, (error, key) => (error ? reject(error) : resolve(key as Buffer)))
  })
}

const write = (params: ScryptParams, salt: Buffer, key: Buffer) => `$scrypt$ln=${params.ln},r=${params.r},p=${params.p}$${salt.toString('base64url')}$${key.toString('base64url')}`

export async function hashPassword(password: string, params: ScryptParams): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  return write(params, salt, await derive(password, salt, params))
}

/** False also for a hash of no known kind. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  if (password.length > PASSWORD_CHARS_MAX) return false
  const parsed = parseHash(hash)
  if (parsed === null) return await verifyForeign(password, hash)
  const key = await derive(password, parsed.salt, parsed)
  return key.length === parsed.key.length && timingSafeEqual(key, parsed.key)
}

/** Whether a hash made elsewhere can be taken over. */
export const isKnownHash = (hash: string): boolean => parseHash(hash) !== null || isForeign(hash)

/** A hash that nothing matches, at the cost of a real one: what an unknown user is checked against. */
export const decoyHash = (params: ScryptParams): string => write(params, Buffer.alloc(SALT_BYTES), Buffer.alloc(KEY_BYTES))
