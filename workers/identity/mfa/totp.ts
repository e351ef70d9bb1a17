/** Time-based one-time passcodes (RFC 6238 over RFC 4226): six digits, thirty seconds, HMAC-SHA1, a base32 secret. Pure. */
import { createHmac, timingSafeEqual } from 'node:crypto'

export const STEP_MS = 30_000
const DIGITS = 6
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648, padding and case aside; null for what is no base32. */
export function base32(text: string): Uint8Array | null {
  const clean = text.replace(/=+$/, '').toUpperCase()
  const out: number[] = []
  let [bits, value] = [0, 0]
  for (const char of clean) {
    const digit = ALPHABET.indexOf(char)
    if (digit < 0) return null
    value = ((value << 5) | digit) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    out.push((value >> bits) & 0xff)
  }
  return out.length === 0 ? null : Uint8Array.from(out)
}

export const stepOf = (now_ms: number): number => Math.floor(now_ms / STEP_MS)

export function passcode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const at = (mac.at(-1) ?? 0) & 0x0f
  return String((mac.readUInt32BE(at) & 0x7fff_ffff) % 10 ** DIGITS).padStart(DIGITS, '0')
}

/** The newest step after `used` whose passcode this is, looking back `previous` steps; null where it is none. */
export function matchingStep(secret: Uint8Array, given: string, now_ms: number, previous: number, used: number): number | null {
  let found: number | null = null
  for (let step = stepOf(now_ms); step >= stepOf(now_ms) - previous; step--) {
    const [a, b] = [Buffer.from(passcode(secret, step)), Buffer.from(given)]
    if (a.length === b.length && timingSafeEqual(a, b) && step > used) found ??= step
  }
  return found
}
