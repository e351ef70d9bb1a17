/**
 * SHA-crypt with SHA-512 ($6$), as the C library's crypt() and Keystones before Pike wrote passwords: Ulrich Drepper's specification of 2008. Rounds and salt have ceilings, so that
 * a hash from a file that somebody made costs no more than a login may.
 */
import { createHash, timingSafeEqual } from 'node:crypto'

const ROUNDS_DEFAULT = 5_000
const ROUNDS_MIN = 1_000
/** Keystone's own ceiling (crypt_strength). */
const ROUNDS_MAX = 100_000
const BYTES = 64
const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

interface Parsed {
  rounds: number
  salt: Buffer
  digest: string
}

export function parseSha512Crypt(text: string): Parsed | null {
  const match = /^\$6\$(?:rounds=(\d{1,7})\$)?([^$\n]{0,16})\$([./0-9A-Za-z]{86})$/.exec(text)
  if (match === null) return null
  const rounds = match[1] === undefined ? ROUNDS_DEFAULT : Number(match[1])
  return rounds < ROUNDS_MIN || rounds > ROUNDS_MAX ? null : { rounds, salt: Buffer.from(match[2] ?? '', 'utf8'), digest: match[3] ?? '' }
}

const sha512 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** SHA-512 of the bytes so many times over, without ever having them all. */
function sha512Times(bytes: Buffer, times: number): Buffer {
  const hash = createHash('sha512')
  for (let n = 0; n < times; n++) hash.update(bytes)
  return hash.digest()
}

/** The bytes, again and again, until there are so many. */
const repeated = (bytes: Buffer, length: number): Buffer => (length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, bytes))

function stretched(password: Buffer, salt: Buffer, rounds: number): Buffer {
  const other = sha512(password, salt, password)
  const parts: Uint8Array[] = [password, salt, repeated(other, password.length)]
  for (let bits = password.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? other : password)
  let digest = sha512(...parts)
  const p = repeated(sha512Times(password, password.length), password.length)
  const s = repeated(sha512Times(salt, 16 + (digest[0] ?? 0)), salt.length)
  for (let round = 0; round < rounds; round++) {
    const odd = round % 2 === 1
    digest = sha512(odd ? p : digest, round % 3 === 0 ? Buffer.alloc(0) : s, round % 7 === 0 ? Buffer.alloc(0) : p, odd ? digest : p)
  }
  return digest
}

/** Three bytes are four letters; which three, the specification has in a table that turns by a third each time. */
function written(digest: Buffer): string {
  let out = ''
  const put = (value: number, letters: number) => {
    for (let left = value, n = 0; n < letters; n++, left >>= 6) out += ALPHABET[left & 63]
  }
  let [a, b, c] = [0, 21, 42]
  for (let n = 0; n < 21; n++) {
    put(((digest[a] ?? 0) << 16) | ((digest[b] ?? 0) << 8) | (digest[c] ?? 0), 4)
    ;[a, b, c] = [b + 1, c + 1, a + 1]
  }
  put(digest[BYTES - 1] ?? 0, 2)
  return out
}

export function verifySha512Crypt(password: string, { rounds, salt, digest }: Parsed): boolean {
  const [right, kept] = [Buffer.from(written(stretched(Buffer.from(password, 'utf8'), salt, rounds))), Buffer.from(digest)]
  return right.length === kept.length && timingSafeEqual(right, kept)
}
