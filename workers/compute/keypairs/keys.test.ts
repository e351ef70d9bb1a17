import assert from 'node:assert/strict'
import { X509Certificate, createPrivateKey, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { generateKey, importKey, sshFingerprint } from './keys.ts'

test('a generated ssh pair is a PKCS#1 key whose public half is the one answered', async () => {
  const key = await generateKey('ssh', 'u', 1_700_000_000_000)
  assert.match(key.private_key ?? '', /^-----BEGIN RSA PRIVATE KEY-----/)
  const jwk = createPublicKey(createPrivateKey(key.private_key ?? '')).export({ format: 'jwk' })
  const blob = Buffer.from(key.public_key.split(' ')[1] ?? '', 'base64')
  assert.ok(blob.includes(Buffer.from(String(jwk.n), 'base64url')))
  assert.equal(sshFingerprint(key.public_key), key.fingerprint)
})

test('a generated x509 pair is a certificate that verifies itself', async () => {
  const key = await generateKey('x509', 'user-1', 1_700_000_000_000)
  const certificate = new X509Certificate(key.public_key)
  assert.equal(certificate.subject, 'CN=user-1')
  assert.ok(certificate.verify(certificate.publicKey))
  assert.equal(certificate.fingerprint.toLowerCase(), key.fingerprint)
})

test('bad keys are refused', () => {
  for (const bad of ['', 'ssh-rsa', 'ssh-rsa JUNK', 'ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA==', 'not a key at all']) assert.throws(() => importKey('ssh', bad), /invalid/)
  assert.throws(() => importKey('x509', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'), /invalid/)
})
