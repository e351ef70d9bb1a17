import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decoyHash, hashPassword, isKnownHash, parseHash, sameParams, verifyPassword } from './hash.ts'

const cheap = { ln: 2, r: 8, p: 1 }

test('property: a hash verifies its own password and no other, whatever the characters', async () => {
  await fc.assert(fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 80 }), fc.string({ maxLength: 80 }), async (password, other) => {
    const hash = await hashPassword(password, cheap)
    assert.ok(await verifyPassword(password, hash))
    assert.equal(await verifyPassword(other, hash), other === password)
  }), { numRuns: 30 })
})

test('parameters travel with the hash; two hashes of one password differ', async () => {
  const [a, b] = [await hashPassword('pw', cheap), await hashPassword('pw', cheap)]
  assert.notEqual(a, b)
  assert.ok(sameParams(a, cheap))
  assert.ok(!sameParams(a, { ...cheap, p: 2 }))
})

test('a decoy, a foreign kind and absurd parameters match nothing and cost nothing absurd', async () => {
  assert.equal(await verifyPassword('', decoyHash(cheap)), false)
  for (const bad of ['', '$2b$12$abc', 'plain', '$scrypt$ln=40,r=8,p=1$AAAA$AAAA', '$scrypt$ln=2,r=8,p=1$$']) {
    assert.equal(parseHash(bad), null)
    assert.equal(await verifyPassword('pw', bad), false)
  }
})

/** Made by passlib 1.7.4, as Keystone 22 calls it. */
const FOREIGN = [
  '$scrypt$ln=10,r=8,p=1$qZVSyrkXYkxpTWnNGaN07g$bxTOzQcNyqL3kLseyvTyY/9ujIpcGAzEltrje0vgyUg',
  '$pbkdf2-sha512$1000$wDjHuDfGOEcoRQjBWGvt3Q$CRgwS/Ek/MNurH600mPz68ooxCJb8ZhKftB57t7gX5GFor4saOFodn1ss.k9erfwp5bI/u6AvbpG7clq/9.qBg',
  '$2b$04$zJA3iOH.ipPIJH6GqDjF8.EmhcqIkWWnoS3whQc/aEvmKvvi1I29q', '$2a$04$cyw5jr2tRhXE7wjjn98YHeTqwCJkK2hHyetxeagcEia3d2TR9BRZO', '$2y$04$/d8Bh7.wZBJNPvHYIKbfzeKEOhdFm5rqH6S8AaVWri.tmZ26gZ4AS',
]

test('hashes of a Keystone verify: scrypt, PBKDF2, bcrypt in its three spellings', async () => {
  for (const hash of FOREIGN) {
    assert.ok(isKnownHash(hash), hash)
    assert.ok(await verifyPassword('pw-\u00fcn\u00ef', hash), hash)
    for (const wrong of ['', 'pw', 'PW-\u00fcn\u00ef', 'pw-\u00fcn\u00ef ']) assert.equal(await verifyPassword(wrong, hash), false, hash)
    assert.ok(!sameParams(hash, { ln: 14, r: 8, p: 2 }), 'is written anew at the next login')
  }
  const long = '$2b$04$rxQSCU6nxqY8t5iF.CwXJuWbWlvO2h1C8ydlYr4JxZpWvvdC88tsy'
  assert.ok(await verifyPassword('x'.repeat(72), long), 'bcrypt reads 72 bytes')
  assert.equal(await verifyPassword('x'.repeat(71), long), false)
})

test('a hash that would cost without bound, or is cut, is none', async () => {
  const [, pbkdf2 = '', bcrypt = ''] = FOREIGN
  for (const bad of [bcrypt.replace('$04$', '$31$'), bcrypt.replace('$04$', '$03$'), bcrypt.slice(0, -1), `${bcrypt}a`, pbkdf2.replace('$1000$', '$9999999$'), pbkdf2.replace('$1000$', '$0$'), pbkdf2.slice(0, -4), '$6$salt$hash', '$2b$04$']) {
    assert.equal(isKnownHash(bad), false, bad)
    assert.equal(await verifyPassword('pw-\u00fcn\u00ef', bad), false)
  }
})

/** Made by the C library's crypt(); the first four are those of the specification. */
const SHA512_CRYPT: [string, string][] = [
  ['Hello world!', '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1'],
  ['Hello world!', '$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.'],
  ['This is just a test', '$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0'],
  ['we have a short salt string but not a short password', '$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0'],
  ['p\u00e4ssw\u00f6rd', '$6$rounds=1000$abc/.xyz01234567$IzaFynu5TXAX0zq/qV5q1bhmCHmPTgBcA7uTlwt4Rus1R7aV2NafUnEgpW1R3eux6kvR6OPFragghVatnoIfM0'],
  ['', '$6$x$QSmr1Bx2g4O6BzKvdkgOcyU6H91X6I/XBv5pSalMhSPkwdH6Beo3F455xZJg0v//bxVK5F4OE5k1.0xuR26MK0'],
]

test('SHA-512-crypt, of Keystones before Pike and of /etc/shadow', async () => {
  for (const [password, hash] of SHA512_CRYPT) {
    assert.ok(isKnownHash(hash), hash)
    assert.ok(await verifyPassword(password, hash), hash)
    assert.equal(await verifyPassword(`${password}.`, hash), false)
  }
  const [, [, good] = ['', '']] = SHA512_CRYPT
  for (const bad of [good.replace('rounds=10000', 'rounds=9999999'), good.replace('rounds=10000', 'rounds=100001'), good.replace('rounds=10000', 'rounds=1'), good.slice(0, -1), `${good}a`, good.replace('saltstringsaltst', 'saltstringsaltstr')]) assert.equal(isKnownHash(bad), false, bad)
})
