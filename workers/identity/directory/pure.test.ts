import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AndFilter, EqualityFilter, FilterParser, SubstringFilter } from 'ldapts'
import { isFault } from '../../../schema/values/fault.ts'
import { enabledOf, groupOf, keeps, memberFilter, pushed, userFilter, userOf } from './entries.ts'
import { contains, equals, escapeValue, isFilter, startsWith } from './filter.ts'
import { type Options, settingsOf, typed } from './settings.ts'

const options = (more: Options = {}): Options => ({ url: 'ldap://d.test', suffix: 'dc=x', user_tree_dn: 'ou=people,dc=x', user_id_attribute: 'uid', user_name_attribute: 'uid', group_name_attribute: 'cn', ...more })
const settings = (more: Options = {}) => settingsOf(options(more))
const refused = (more: Options) => assert.throws(() => settings(more), (error) => isFault(error, 'unavailable'), JSON.stringify(more))

test('property: whatever somebody types is one value of one comparison', () => {
  const nasty = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.constantFrom('*', '*)(uid=*', 'x)(|(uid=*', '\\2a', '\u0000', ')(cn=))', '(', 'a\\', '\\', '*)(&', 'x\u0000)(objectClass=*)'))
  fc.assert(fc.property(nasty, (text) => {
    const parsed = FilterParser.parseString(userFilter(settings({ user_filter: '(memberOf=cn=cloud,dc=x)' }), equals('uid', text)))
    assert.ok(parsed instanceof AndFilter)
    assert.equal(parsed.filters.length, 3)
    const last = parsed.filters[2]
    assert.ok(last instanceof EqualityFilter, `${text} became ${last?.constructor.name}`)
    assert.equal(String(last.value), text.toWellFormed())
    if (text !== '') {
      const part = FilterParser.parseString(contains('cn', text))
      assert.ok(part instanceof SubstringFilter)
      assert.deepEqual([part.initial, part.any, part.final], ['', [text.toWellFormed()], ''])
    }
  }))
  assert.equal(escapeValue('a*(b)\\\u0000'), 'a\\2a\\28b\\29\\5c\\00')
  assert.equal(startsWith('cn', ''), '(cn=*)')
})

test('a filter of the operator is one whole filter, and an attribute is a name', () => {
  for (const good of ['(a=b)', '(&(a=b)(c=d))', '(a=\\28)']) assert.ok(isFilter(good), good)
  for (const bad of ['', 'a=b', '(a=b', '(a=b))', '(a=b)(c=d)', '(a=b) ', ')(']) assert.ok(!isFilter(bad), bad)
  refused({ user_filter: '(a=b)(c=d)' })
  for (const name of ['user_id_attribute', 'user_name_attribute', 'group_member_attribute', 'user_objectclass']) refused({ [name]: 'uid)(x=*' })
  refused({ user_additional_attribute_mapping: ['a:enabled'] })
  refused({ user_additional_attribute_mapping: ['(x=*):note'] })
})

test('property (S26): only true is true; texts, numbers and nothing are not', () => {
  fc.assert(fc.property(fc.anything(), (value) => {
    const text = typeof value === 'string' ? value.trim().toLowerCase() : value
    assert.equal(typed(value), value === true || text === 'true' ? true : value === false || text === 'false' ? false : null)
  }))
  const plain = settings().users
  for (const off of ['FALSE', 'false', 'False', '', '0', 'no', '1', 'yes', 'null', ' ']) assert.equal(enabledOf(off, plain), false, off)
  for (const on of ['TRUE', 'true', 'True']) assert.equal(enabledOf(on, plain), true)
  assert.equal(enabledOf(undefined, plain), true)
  assert.equal(enabledOf(undefined, settings({ user_enabled_default: 'False' }).users), false)
  const inverted = settings({ user_enabled_invert: true, user_enabled_attribute: 'nsAccountLock', user_enabled_default: 'False' }).users
  assert.deepEqual(['TRUE', 'FALSE', 'odd', undefined].map((raw) => enabledOf(raw, inverted)), [false, true, false, true])
  const masked = settings({ user_enabled_attribute: 'userAccountControl', user_enabled_mask: 2, user_enabled_default: '512' }).users
  assert.deepEqual(['512', '514', 'odd', '', undefined].map((raw) => enabledOf(raw, masked)), [true, false, false, false, true])
  for (const value of ['maybe', 1, {}, []]) refused({ user_enabled_invert: value })
  refused({ use_tls: 'yes' })
})

test('an entry is a user where it has an id and a name; of several ids the one in its name counts', () => {
  const entry = (attributes: Record<string, string[]>, dn = 'uid=ann,ou=people,dc=x') => ({ dn, attributes })
  assert.deepEqual(userOf(entry({ uid: ['ann'], mail: ['a@x'], description: ['d'] }), settings(), null), { local_id: 'ann', dn: 'uid=ann,ou=people,dc=x', name: 'ann', enabled: true, default_project_id: null, extra: { email: 'a@x', description: 'd' } })
  assert.equal(userOf(entry({ mail: ['a@x'] }), settings(), null), null)
  assert.equal(userOf(entry({ uid: ['alias', 'Ann'] }), settings(), null)?.local_id, 'Ann')
  assert.equal(userOf(entry({ uid: ['one', 'two'] }), settings(), null), null)
  assert.equal(userOf(entry({ uid: ['ann'] }), settings(), new Set(['uid=bob,ou=people,dc=x']))?.enabled, false)
  assert.equal(userOf(entry({ uid: ['ann'] }), settings(), new Set(['uid=ann,ou=people,dc=x']))?.enabled, true)
  assert.deepEqual(userOf(entry({ uid: ['ann'], phone: ['1'] }), settings({ user_additional_attribute_mapping: ['phone:telephone'] }), null)?.extra, { telephone: '1' })
  assert.deepEqual(groupOf({ dn: 'cn=dev,dc=x', attributes: { cn: ['dev'] } }, settings()), { local_id: 'dev', dn: 'cn=dev,dc=x', name: 'dev', description: '' })
})

test('filters of the API go to the directory where it can judge them', () => {
  const name = (op: 'equals' | 'contains' | 'startswith' | 'endswith', value: string) => ({ field: 'name', op, folded: false, value })
  assert.equal(pushed(name('equals', 'a*'), 'uid'), '(uid=a\\2a)')
  assert.equal(pushed(name('endswith', 'x'), 'uid'), '(uid=*x)')
  assert.equal(pushed({ field: 'enabled', op: 'equals', folded: false, value: true }, 'uid'), null)
  assert.equal(keeps([name('contains', 'N'), { field: 'enabled', op: 'equals', folded: false, value: true }], { name: 'ann', enabled: true }), true)
  assert.equal(keeps([{ field: 'enabled', op: 'equals', folded: false, value: true }], { name: 'ann', enabled: false }), false)
  assert.equal(memberFilter(settings(), { dn: 'uid=a(b),dc=x', local_id: 'a' }), '(member=uid=a\\28b\\29,dc=x)')
  assert.equal(memberFilter(settings({ group_members_are_ids: true, group_member_attribute: 'memberUid' }), { dn: 'd', local_id: 'a' }), '(memberUid=a)')
  assert.equal(memberFilter(settings({ group_ad_nesting: true }), { dn: 'd', local_id: 'a' }), '(member:1.2.840.113556.1.4.1941:=d)')
})

test('addresses and certificates', () => {
  assert.deepEqual(settings({ url: 'ldaps://a, ldap://b' }).server.urls, ['ldaps://a', 'ldap://b'])
  for (const url of ['http://a', 'ldap://', 'ldap://a/path', 'a', '']) refused({ url })
  assert.equal(settings().server.verify, true)
  assert.equal(settings({ tls_req_cert: 'never' }).server.verify, false)
  refused({ tls_req_cert: 'perhaps' })
})
