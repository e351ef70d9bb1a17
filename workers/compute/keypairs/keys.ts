/**
 * Key material: checks and fingerprints of given keys, generation of RSA pairs (microversions below 2.92) as OpenSSH reads them, and of the self-signed
 * client certificates that Nova makes for type x509 (nova/crypto.py). A private key is answered once and kept nowhere.
 */
import { createHash } from 'node:crypto'
import { Fault } from '../../../schema/values/fault.ts'
import { bits, concat, innerKey, integerOf, nothing, octets, oid, pem, sequence, setOf, tlv, utcTime, utf8 } from './der.ts'

export interface KeyMaterial {
  public_key: string
  fingerprint: string
  private_key?: string
}

const colons = (hex: string) => (hex.match(/../g) ?? []).join(':')
const invalid = () => new Fault('bad_request', 'Keypair data is invalid: failed to generate fingerprint')
const CERTIFICATE_LIFE_MS = 10 * 365 * 86_400_000
const RSA_BITS = 2048

const sshString = (bytes: Uint8Array): Uint8Array => {
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, bytes.byteLength)
  return concat([length, bytes])
}
const mpint = (bytes: Uint8Array) => sshString((bytes[0] ?? 0) >= 0x80 ? concat([Uint8Array.of(0), bytes]) : bytes)

/** 'ssh-ed25519 AAAA... comment': the blob must begin with the type it is said to have. */
export function sshFingerprint(publicKey: string): string {
  const [type, data] = publicKey.trim().split(/\s+/)
  if (type === undefined || data === undefined || !/^[A-Za-z0-9+/]+=*$/.test(data)) throw invalid()
  const blob = Buffer.from(data, 'base64')
  if (blob.byteLength < 8) throw invalid()
  const length = blob.readUInt32BE(0)
  if (length > 64 || blob.subarray(4, 4 + length).toString('latin1') !== type) throw invalid()
  return colons(createHash('md5').update(blob).digest('hex'))
}

export function x509Fingerprint(certificate: string): string {
  const match = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(certificate)
  const der = Buffer.from((match?.[1] ?? '').replace(/\s/g, ''), 'base64')
  if (der.byteLength < 64 || der[0] !== 0x30) throw invalid()
  return colons(createHash('sha1').update(der).digest('hex'))
}

export function importKey(type: 'ssh' | 'x509', publicKey: string): KeyMaterial {
  return { public_key: publicKey, fingerprint: type === 'ssh' ? sshFingerprint(publicKey) : x509Fingerprint(publicKey) }
}

export async function generateKey(type: 'ssh' | 'x509', userId: string, now_ms: number): Promise<KeyMaterial> {
  const pair = (await crypto.subtle.generateKey({ name: 'RSASSA-PKCS1-v1_5', modulusLength: RSA_BITS, publicExponent: Uint8Array.of(1, 0, 1), hash: 'SHA-256' }, true, ['sign', 'verify'])) as CryptoKeyPair
  const pkcs8 = new Uint8Array((await crypto.subtle.exportKey('pkcs8', pair.privateKey)) as ArrayBuffer)
  const private_key = pem('RSA PRIVATE KEY', innerKey(pkcs8))
  if (type === 'x509') {
    const public_key = await certificate(pair, userId, now_ms)
    return { public_key, fingerprint: x509Fingerprint(public_key), private_key: pem('PRIVATE KEY', pkcs8) }
  }
  const jwk = (await crypto.subtle.exportKey('jwk', pair.publicKey)) as { n: string; e: string }
  const blob = concat([sshString(new TextEncoder().encode('ssh-rsa')), mpint(Buffer.from(jwk.e, 'base64url')), mpint(Buffer.from(jwk.n, 'base64url'))])
  const public_key = `ssh-rsa ${Buffer.from(blob).toString('base64')} Generated-by-Nova`
  return { public_key, fingerprint: sshFingerprint(public_key), private_key }
}

/** CN is the user's id; the subject alternative name is the UPN that WinRM logs in by; extended key usage is client authentication. */
async function certificate(pair: CryptoKeyPair, userId: string, now_ms: number): Promise<string> {
  const spki = new Uint8Array((await crypto.subtle.exportKey('spki', pair.publicKey)) as ArrayBuffer)
  const algorithm = sequence(oid('1.2.840.113549.1.1.11'), nothing)
  const subject = sequence(setOf(sequence(oid('2.5.4.3'), utf8(userId.slice(0, 64)))))
  const upn = sequence(tlv(0xa0, oid('1.3.6.1.4.1.311.20.2.3'), tlv(0xa0, utf8(`${userId}@localhost`))))
  const extensions = sequence(
    sequence(oid('2.5.29.37'), octets(sequence(oid('1.3.6.1.5.5.7.3.2')))),
    sequence(oid('2.5.29.17'), octets(upn)),
  )
  const serial = crypto.getRandomValues(new Uint8Array(16))
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const tbs = sequence(tlv(0xa0, integerOf(Uint8Array.of(2))), integerOf(serial), algorithm, subject, sequence(utcTime(now_ms - 86_400_000), utcTime(now_ms + CERTIFICATE_LIFE_MS)), subject, spki, tlv(0xa3, extensions))
  const signature = new Uint8Array((await crypto.subtle.sign('RSASSA-PKCS1-v1_5', pair.privateKey, tbs)) as ArrayBuffer)
  return pem('CERTIFICATE', sequence(tbs, algorithm, bits(signature)))
}
