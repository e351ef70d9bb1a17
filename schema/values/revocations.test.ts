/** The index finds what looking through all of them would find, and forgets what has ended. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Caller, type Revocation, isRevokedBy, systemCaller } from './caller.ts'
import { RevocationIndex } from './revocations.ts'

const SCOPES: Revocation['scope'][] = ['audit', 'audit_chain', 'user', 'project', 'domain', 'user_project', 'user_domain', 'user_system', 'app_cred', 'trust', 'credential', 'idp', 'oauth_token']
const name = fc.constantFrom('a', 'b', 'c')
const maybe = fc.option(name)
const subject = fc.oneof(name, fc.tuple(name, name).map(([one, other]) => `${one}:${other}`), name.map((one) => `${one}:null`))
const revocation = fc.record({ scope: fc.constantFrom(...SCOPES), subject, before_ms: fc.integer({ min: 0, max: 20 }), expires_ms: fc.integer({ min: 50, max: 100 }) })
const caller = fc.record({
  user_id: name, user_domain_id: name, project_id: maybe, project_domain_id: maybe, domain_id: maybe, system: fc.boolean(), audit_ids: fc.array(name, { minLength: 1, maxLength: 3 }), issued_ms: fc.integer({ min: 0, max: 20 }),
  app_cred_id: maybe, trust_id: maybe, credential_id: maybe, oauth_token_id: fc.option(name, { nil: undefined }), federation: fc.option(name.map((idp_id) => ({ idp_id, protocol_id: 'p' }))),
}).map((some): Caller => ({ ...systemCaller('req-x'), ...some }))

test('a caller is found revoked exactly where one of the revocations matches it', () => {
  fc.assert(fc.property(fc.array(revocation, { maxLength: 12 }), caller, (events, who) => {
    const index = new RevocationIndex(events)
    const expected = events.filter((event) => isRevokedBy(who, event))
    assert.equal(index.matches(who), expected.length > 0)
    const found = index.matching(who)
    assert.deepEqual(new Set(found.map((event) => `${event.scope} ${event.subject}`)), new Set(expected.map((event) => `${event.scope} ${event.subject}`)))
    assert.equal(Math.max(0, ...found.map((event) => event.before_ms)), Math.max(0, ...events.filter((event) => found.some((one) => one.scope === event.scope && one.subject === event.subject)).map((event) => event.before_ms)))
  }), { numRuns: 2_000 })
})

test('what has ended is forgotten, the rest stays', () => {
  fc.assert(fc.property(fc.array(revocation, { maxLength: 12 }), fc.integer({ min: 40, max: 110 }), (events, now_ms) => {
    const index = new RevocationIndex(events)
    const ends = new Map<string, number>()
    for (const { scope, subject: of, expires_ms } of events) ends.set(`${scope} ${of}`, Math.max(expires_ms, ends.get(`${scope} ${of}`) ?? 0))
    index.drop(now_ms)
    assert.deepEqual(new Set(index.all().map((event) => `${event.scope} ${event.subject}`)), new Set([...ends].filter(([, end]) => end >= now_ms).map(([key]) => key)))
  }))
})
