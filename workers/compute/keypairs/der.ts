/** As much of DER as key pairs need: writing a self-signed certificate, reading the RSA key out of a PKCS#8 envelope. Pure. */
const concat = (parts: readonly Uint8Array[]): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.byteLength
  }
  return all
}

export function tlv(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const body = concat(parts)
  const length: number[] = []
  if (body.byteLength < 0x80) length.push(body.byteLength)
  else {
    for (let rest = body.byteLength; rest > 0; rest >>>= 8) length.unshift(rest & 0xff)
    length.unshift(0x80 | length.length)
  }
  return concat([Uint8Array.of(tag, ...length), body])
}

export const sequence = (...parts: Uint8Array[]) => tlv(0x30, ...parts)
export const setOf = (...parts: Uint8Array[]) => tlv(0x31, ...parts)
export const nothing = tlv(0x05)
export const utf8 = (text: string) => tlv(0x0c, new TextEncoder().encode(text))
export const octets = (bytes: Uint8Array) => tlv(0x04, bytes)
export const bits = (bytes: Uint8Array) => tlv(0x03, Uint8Array.of(0), bytes)
export const integerOf = (bytes: Uint8Array) => tlv(0x02, (bytes[0] ?? 0) >= 0x80 ? concat([Uint8Array.of(0), bytes]) : bytes)
export const utcTime = (ms: number) => tlv(0x17, new TextEncoder().encode(`${new Date(ms).toISOString().slice(2, 19).replace(/[-T:]/g, '')}Z`))

export function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const part of rest) {
    const digits = [part & 0x7f]
    for (let value = part >>> 7; value > 0; value >>>= 7) digits.unshift(0x80 | (value & 0x7f))
    bytes.push(...digits)
  }
  return tlv(0x06, Uint8Array.from(bytes))
}

function read(bytes: Uint8Array, at: number): { body: Uint8Array; end: number } {
  let length = bytes[at + 1] ?? 0
  let start = at + 2
  if (length >= 0x80) {
    const count = length & 0x7f
    length = 0
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[start + i] ?? 0)
    start += count
  }
  return { body: bytes.subarray(start, start + length), end: start + length }
}

/** PKCS#8 -> PKCS#1: the octet string after the version and the algorithm. */
export function innerKey(pkcs8: Uint8Array): Uint8Array {
  const outer = read(pkcs8, 0).body
  const algorithm = read(outer, 0).end
  return read(outer, read(outer, algorithm).end).body
}

export function pem(label: string, der: Uint8Array): string {
  const text = Buffer.from(der).toString('base64')
  return `-----BEGIN ${label}-----\n${(text.match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`
}

export { concat }
