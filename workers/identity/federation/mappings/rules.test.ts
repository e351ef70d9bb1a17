import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '../../../../schema/values/fault.ts'
import { safeParse } from 'valibot'
import { assertionOf } from '../login/claims.ts'
import { mappingBody } from './requests.ts'
import { type Rule, mapAssertion, ruleProblem } from './rules.ts'

const said = (values: Record<string, string[]>) => new Map(Object.entries(values))
const refuses = (rules: Rule[], values: Record<string, string[]>) => assert.throws(() => mapAssertion(rules, said(values)), (error) => isFault(error, 'unauthorized'))
const named = { user: { name: '{0}' } }

test('values of remote entries that decide nothing are counted, those of entries that decide are not', () => {
  const rules: Rule[] = [{ local: [{ user: { name: '{0}', email: '{1}' } }], remote: [{ type: 'name' }, { type: 'kind', any_one_of: ['staff'] }, { type: 'mail' }] }]
  assert.deepEqual(mapAssertion(rules, said({ name: ['ann'], kind: ['staff'], mail: ['ann@x'] })), { user: { name: 'ann', email: 'ann@x', type: 'ephemeral' }, group_ids: [], groups: [], projects: [] })
  refuses(rules, { name: ['ann'], kind: ['guest'], mail: ['ann@x'] })
  refuses(rules, { name: ['ann'], kind: ['staff'] })
})

test('groups add up over rules, the first user counts, lists become groups', () => {
  const rules: Rule[] = [
    { local: [{ user: { name: '{0}' }, group: { id: 'g0' } }], remote: [{ type: 'name' }] },
    { local: [{ user: { name: 'second {0}' } }, { groups: 'team-{1}', domain: { id: 'd' } }, { group_ids: '{1}' }], remote: [{ type: 'name' }, { type: 'groups', blacklist: ['secret'] }] },
    { local: [{ group: { name: 'leads', domain: { name: 'D' } } }], remote: [{ type: 'groups', any_one_of: ['^lead'], regex: true }] },
  ]
  const mapped = mapAssertion(rules, said({ name: ['ann'], groups: ['dev', 'secret', 'leader'] }))
  assert.equal(mapped.user.name, 'ann')
  assert.deepEqual(mapped.group_ids, ['g0', 'dev', 'leader'])
  assert.deepEqual(mapped.groups, [{ name: 'team-dev', domain: { id: 'd' } }, { name: 'team-leader', domain: { id: 'd' } }, { name: 'leads', domain: { name: 'D' } }])
})

test('projects with roles, and users of our own', () => {
  const rules: Rule[] = [{ local: [{ user: { name: '{0}', type: 'local', domain: { name: '{1}' } }, projects: [{ name: 'home of {0}', roles: [{ name: 'member' }] }] }], remote: [{ type: 'name' }, { type: 'org' }] }]
  const mapped = mapAssertion(rules, said({ name: ['ann'], org: ['Acme'] }))
  assert.deepEqual(mapped.user, { name: 'ann', domain: { name: 'Acme' }, type: 'local' })
  assert.deepEqual(mapped.projects, [{ name: 'home of ann', roles: [{ name: 'member' }] }])
})

test('a list where one value is needed is refused, and an empty list gives no groups', () => {
  refuses([{ local: [named], remote: [{ type: 'name' }] }], { name: ['a', 'b'] })
  refuses([{ local: [named], remote: [{ type: 'name', whitelist: ['z'] }] }], { name: ['a'] })
  const rules: Rule[] = [{ local: [{ user: { name: '{0}' } }, { groups: '{1}', domain: { id: 'd' } }], remote: [{ type: 'name' }, { type: 'groups', whitelist: ['z'] }] }]
  assert.deepEqual(mapAssertion(rules, said({ name: ['a'], groups: ['x'] })).groups, [])
})

test('property: any_one_of and not_any_of never agree, whitelist and blacklist share the values out', () => {
  const words = fc.array(fc.constantFrom('a', 'b', 'c', 'ab', 'B', ''), { minLength: 1, maxLength: 5 })
  fc.assert(fc.property(words, words, fc.boolean(), (wanted, values, regex) => {
    const applies = (remote: object) => {
      try {
        mapAssertion([{ local: [{ user: { name: 'x' } }], remote: [{ type: 't', regex, ...remote }] }], said({ t: values }))
        return true
      } catch {
        return false
      }
    }
    assert.notEqual(applies({ any_one_of: wanted }), applies({ not_any_of: wanted }))
    const kept = (remote: object) => mapAssertion([{ local: [{ user: { name: 'x' } }, { group_ids: '{0}' }], remote: [{ type: 't', regex, ...remote }] }], said({ t: values })).group_ids
    assert.deepEqual([...kept({ whitelist: wanted }), ...kept({ blacklist: wanted })].sort(), [...new Set(values)].sort())
  }))
})

test('property: what an identity provider says is never read as a template, a pattern or another name', () => {
  fc.assert(fc.property(fc.string(), fc.string(), (name, other) => {
    const mapped = mapAssertion([{ local: [{ user: { name: '{0}', email: '<{1}>' } }], remote: [{ type: 'name' }, { type: 'other' }] }], said({ name: [name], other: [other] }))
    assert.equal(mapped.user.name, name)
    assert.equal(mapped.user.email, `<${other}>`)
  }))
  assert.equal(mapAssertion([{ local: [named], remote: [{ type: 'name' }, { type: 'x' }] }], said({ name: ['{1}'], x: ['root'] })).user.name, '{1}')
  // A pattern is the rule's, not the value's; a value with ';' is one value.
  refuses([{ local: [{ user: { name: 'x' } }], remote: [{ type: 'groups', any_one_of: ['admins'] }] }], { groups: ['.*'] })
  refuses([{ local: [{ user: { name: 'x' } }], remote: [{ type: 'groups', any_one_of: ['admins'] }] }], { groups: ['staff;admins'] })
})

test('claims are known by their own name and by those of Apache\'s module; none can pose as another', () => {
  const assertion = assertionOf({ iss: 'https://a', sub: 'ann', email_verified: false, groups: ['x', { odd: 1 }, 'y'], realm_access: { roles: ['r'] }, HTTP_OIDC_ISS: 'https://evil', 'OIDC-sub': 'root', __proto__: { toString: 'x' } })
  assert.deepEqual(assertion.get('HTTP_OIDC_ISS'), ['https://a'])
  assert.deepEqual(assertion.get('OIDC-sub'), ['ann'])
  assert.deepEqual(assertion.get('OIDC_CLAIM_sub'), ['ann'])
  assert.deepEqual(assertion.get('email_verified'), ['false'])
  assert.deepEqual(assertion.get('groups'), ['x', 'y'])
  assert.deepEqual(assertion.get('realm_access.roles'), ['r'])
  assert.equal(assertion.get('toString'), undefined)
  assert.equal(assertionOf({ 'a-b': '1', a_b: '2' }).get('HTTP_OIDC_A_B'), undefined)
})

test('rules that cannot work are refused when they are made', () => {
  const problem = (local: Rule['local'], remote: Rule['remote']) => ruleProblem({ local, remote })
  assert.match(problem([named], [{ type: 'x', any_one_of: ['a'] }]) ?? '', /refers to \{0\}/)
  assert.match(problem([{ user: { name: '{1}' } }], [{ type: 'x' }]) ?? '', /refers to \{1\}/)
  assert.match(problem([{ user: { name: '{name}' } }], [{ type: 'x' }]) ?? '', /brace/)
  assert.match(problem([named], [{ type: 'x', whitelist: ['('], regex: true }]) ?? '', /regular expression/)
  assert.equal(problem([{ user: { name: '{{{0}}}' } }], [{ type: 'x' }]), null)
  const body = (rule: unknown) => safeParse(mappingBody, { mapping: { rules: [rule] } }).success
  assert.ok(body({ local: [named], remote: [{ type: 'x' }] }))
  for (const bad of [
    { local: [named] }, { local: [named], remote: [] }, { local: [named], remote: [{ type: 'x', any_one_of: ['a'], not_any_of: ['b'] }] }, { local: [{ groups: '{0}' }], remote: [{ type: 'x' }] },
    { local: [{ user: { name: '{0}', type: 'admin' } }], remote: [{ type: 'x' }] }, { local: [{ group: { name: 'x' } }], remote: [{ type: 'x' }] }, { local: [named], remote: [{ type: 'x' }], more: 1 },
  ]) assert.ok(!body(bad), JSON.stringify(bad))
})
