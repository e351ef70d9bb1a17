/**
 * Password hashes as a Keystone wrote them (keystone/common/password_hashing.py, by passlib): bcrypt, PBKDF2-SHA512 and SHA-512-crypt. Verified at the next login, which
 * writes the password anew as scrypt. Costs have ceilings: a hash comes from a file that somebody made.
 */
import { pbkdf2, timingSafeEqual } from 'node:crypto'
import { compare } from 'bcryptjs'
import { parseSha512Crypt, verifySha512Crypt } from './sha512-crypt.ts'

const BCRYPT_COST = { min: 4, max: 14 }
const PBKDF2_ROUNDS_MAX = 1_000_000
const PBKDF2_KEY_BYTES = 64

interface Pbkdf2 {
  rounds: number
  salt: Buffer
  key: Buffer
}

/** passlib writes '.' for '+' and no padding. */
const bytesOf = (text: string): Buffer => Buffer.from(text.replace(/\./g, '+'), 'base64')

function parsePbkdf2(text: string): Pbkdf2 | null {
  const match = /^\$pbkdf2-sha512\$(\d{1,7})\$([A-Za-z0-9./]{1,1400})\$([A-Za-z0-9./]+)$/.exec(text)
  const [, rounds = '', salt = '', key = ''] = match ?? []
  const parsed = { rounds: Number(rounds), salt: bytesOf(salt), key: bytesOf(key) }
  return match === null || parsed.rounds < 1 || parsed.rounds > PBKDF2_ROUNDS_MAX || parsed.key.length !== PBKDF2_KEY_BYTES ? null : parsed
}

const isBcrypt = (text: string): boolean => {
  const cost = Number(/^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text)?.[1])
  return cost >= BCRYPT_COST.min && cost <= BCRYPT_COST.max
}

/** Whether this is a hash that a login could be checked against. */
export const isForeign = (text: string): boolean => isBcrypt(text) || parsePbkdf2(text) !== null || parseSha512Crypt(text) !== null

export async function verifyForeign(password: string, text: string): Promise<boolean> {
  // bcrypt reads 72 bytes at most, here as there.
  if (isBcrypt(text)) return await compare(password, text)
  const crypt = parseSha512Crypt(text)
  if (crypt !== null) return verifySha512Crypt(password, crypt)
  const parsed = parsePbkdf2(text)
  if (parsed === null) return false
  const key = await new Promise<Buffer>((resolve, reject) => {
    pbkdf2(password, parsed.salt, parsed.rounds, PBKDF2_KEY_BYTES, 'sha512', (error, derived) => (error ? reject(error) : resolve(derived as Buffer)))
  })
  return timingSafeEqual(key, parsed.key)
}
