import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rulesBegun, rulesMet } from './rules.ts'
import { base32, matchingStep, passcode, stepOf } from './totp.ts'

const SECRET = base32('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ') ?? new Uint8Array()

test('base32 as RFC 4648 has it; anything else is none', () => {
  assert.equal(Buffer.from(SECRET).toString(), '12345678901234567890')
  assert.equal(Buffer.from(base32('mzxw6ytboi======') ?? []).toString(), 'foobar')
  for (const bad of ['', '=', '0189', 'A B', 'A']) assert.equal(base32(bad), null)
})

test('passcodes of RFC 6238, appendix B, and of RFC 4226, appendix D', () => {
  const at = (s: number) => passcode(SECRET, stepOf(s * 1_000))
  assert.deepEqual([59, 1_111_111_109, 1_111_111_111, 1_234_567_890, 2_000_000_000, 20_000_000_000].map(at), ['287082', '081804', '050471', '005924', '279037', '353130'])
  assert.deepEqual([0, 1, 2, 9].map((counter) => passcode(SECRET, counter)), ['755224', '287082', '359152', '520489'])
})

test('a passcode holds in its own step and as many before as the option says, once', () => {
  const now = 10_000 * 30_000
  const of = (step: number) => passcode(SECRET, step)
  assert.equal(matchingStep(SECRET, of(10_000), now, 1, -1), 10_000)
  assert.equal(matchingStep(SECRET, of(9_999), now, 1, -1), 9_999)
  assert.equal(matchingStep(SECRET, of(9_999), now, 0, -1), null)
  assert.equal(matchingStep(SECRET, of(9_998), now, 1, -1), null)
  assert.equal(matchingStep(SECRET, of(10_001), now, 1, -1), null)
  assert.equal(matchingStep(SECRET, of(10_000), now, 1, 10_000), null)
  for (const bad of ['', '1', '1234567', 'abcdef']) assert.equal(matchingStep(SECRET, bad, now, 1, -1), null)
})

test('one rule met in full is enough; rules switched off, absent or of unknown methods lock nobody out', () => {
  const options = { multi_factor_auth_rules: [['password', 'totp'], ['mapped']] }
  assert.ok(rulesMet(options, ['totp', 'password']))
  assert.ok(rulesMet(options, ['mapped']))
  assert.ok(!rulesMet(options, ['password']))
  assert.ok(!rulesMet(options, ['application_credential']))
  assert.ok(rulesMet({ ...options, multi_factor_auth_enabled: false }, ['password']))
  assert.ok(rulesMet({}, ['password']))
  assert.ok(rulesMet({ multi_factor_auth_rules: [['password', 'carrier-pigeon']] }, ['password']))
  assert.deepEqual(rulesBegun(options, ['password']), [['password', 'totp']])
})
