/** The grammar of check strings: every form, printing and parsing as inverses, evaluation against one that knows nothing of this code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Check, type Credentials, type Target, circle, holds, parse, print, rulesNamed } from './check.ts'

const creds = (more: Record<string, unknown> = {}): Credentials => ({ roles: ['Member', 'reader'], user_id: 'u', project_id: 'p', domain_id: null, system: true, token: { groups: [{ id: 'g1' }, { id: 'g2' }], depth: 3 }, ...more })
const says = (check: string | unknown[], target: Target = {}, who = creds()) => holds(parse(check), who, target, new Map())

test('each form of a leaf', () => {
  const cases: [string, Target, boolean][] = [
    ['', {}, true], ['   ', {}, true], ['@', {}, true], ['!', {}, false],
    ['role:member', {}, true], ['role:MEMBER', {}, true], ['role:admin', {}, false], ['role:%(target.role.name)s', { 'target.role.name': 'reader' }, true], ['role:%(target.role.name)s', {}, false],
    ['user_id:u', {}, true], ['user_id:%(user_id)s', { user_id: 'u' }, true], ['user_id:%(user_id)s', { user_id: 'v' }, false], ['user_id:%(user_id)s', {}, false],
    ['domain_id:None', {}, true], ['user_id:None', {}, false], ['domain_id:%(domain_id)s', { domain_id: null }, false], ['nothing:None', {}, true], ['system:True', {}, true], ['system:False', {}, false],
    ['True:%(enabled)s', { enabled: true }, true], ['True:%(enabled)s', { enabled: false }, false], ['False:%(enabled)s', { enabled: false }, true], ['None:%(owner)s', { owner: null }, true], ['None:%(owner)s', {}, false], ['5:%(size)s', { size: 5 }, true],
    ["'public':%(visibility)s", { visibility: 'public' }, true], ['"public":%(visibility)s', { visibility: 'private' }, false], ["'it is':%(x)s", { x: 'it is' }, true], ["'a':a", {}, true],
    ['user_id:%(a)s%(b)s', { a: '', b: 'u' }, true], ['user_id:%(a)s%(b)s', { a: 'u' }, false], ['project_id:x-%(id)s', { id: 'p' }, false],
    ['token.groups.id:g2', {}, true], ['token.groups.id:%(group)s', { group: 'g3' }, false], ['token.depth:3', {}, true], ['token.nowhere.id:g1', {}, false], ['constructor.name:Object', {}, false],
  ]
  for (const [check, target, expected] of cases) assert.equal(says(check, target), expected, check)
})

test('not binds closest, then and, then or; parentheses over all; words in any case', () => {
  const cases: [string, boolean][] = [
    ['@ or @ and !', true], ['(@ or @) and !', false], ['not ! and !', false], ['not (! and !)', true], ['! and ! or @', true], ['not not @', true], ['@ AND NOT !', true], ['((@))', true], ['(@)and(@)', true], ['! Or (! oR @)', true],
  ]
  for (const [check, expected] of cases) assert.equal(says(check), expected, check)
})

test('the older lists: or of ands', () => {
  const cases: [unknown[], boolean, string][] = [
    [[], true, '@'], [[[]], false, '!'], [['role:member'], true, 'role:member'], [[['role:member', 'role:admin']], false, 'role:member and role:admin'], [[['role:member', 'role:admin'], ['role:reader']], true, 'role:member and role:admin or role:reader'],
    [[['role:member', 'user_id:%(user_id)s'], 'role:admin', []], true, 'role:member and user_id:%(user_id)s or role:admin'],
  ]
  for (const [lists, expected, text] of cases) {
    assert.equal(says(lists, { user_id: 'u' }), expected, text)
    assert.equal(print(parse(lists)), text)
  }
})

test('what is wrong is named', () => {
  const cases: [string | unknown[], RegExp][] = [
    ['(role:admin', /lacks a parenthesis/], ['role:admin)', /too much at '\)'/], ['role:admin role:member', /too much at 'role:member'/], ['and role:admin', /strange word 'and'/], ['strange', /strange word 'strange'/], ['not', /ends too early/], ['role:', /strange word/],
    [':x', /strange word/], ["'open:%(x)s", /strange word/], ['()', /strange word/], [[['a:b', 5]], /strange word in its lists/], [['']  , /strange word in its lists/], [`${'('.repeat(40)}@${')'.repeat(40)}`, /nested deeper/], ['x'.repeat(9_000), /longer than/], ['role:%(x', /strange word at/],
  ]
  for (const [check, message] of cases) assert.throws(() => parse(check), message, JSON.stringify(check).slice(0, 40))
})

const word = fc.constantFrom('admin', 'member', 'x_1', 'identity:get_user', 'a.b', '%(user_id)s', '%(target.user.id)s', 'v-%(a)s')
const leaf: fc.Arbitrary<Check> = fc.oneof(
  fc.constant<Check>({ is: 'always' }), fc.constant<Check>({ is: 'never' }), word.map((name): Check => ({ is: 'rule', name })), word.map((value): Check => ({ is: 'role', value })),
  fc.tuple(fc.constantFrom('user_id', 'project_id', 'token.groups.id'), word).map(([attribute, value]): Check => ({ is: 'match', subject: { attribute }, value })),
  fc.tuple(fc.constantFrom('True', 'None', '5', 'some text', "it's", '(x)', ''), word).map(([literal, value]): Check => ({ is: 'match', subject: { literal }, value })),
)
const { tree } = fc.letrec<{ tree: Check }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true, maxDepth: 6 }, leaf, tie('tree').map((of): Check => ({ is: 'not', of })),
    fc.tuple(fc.constantFrom('and' as const, 'or' as const), fc.array(tie('tree'), { minLength: 2, maxLength: 4 })).map(([is, of]): Check => ({ is, of })),
  ),
}))

test('property: parse(print(x)) is x', () => {
  fc.assert(fc.property(tree, (check) => assert.deepEqual(parse(print(check)), check)))
})

/** Logic by truth tables over the leaves, from the printed text alone: roles become true or false, the rest is JavaScript's. */
function reference(text: string, roles: string[]): boolean {
  const words = text.replace(/role:(\w+)/g, (_all, name: string) => String(roles.includes(name))).replace(/@/g, 'true').replace(/!/g, 'false').replace(/[()]/g, ' $& ').split(/\s+/).filter((each) => each !== '')
  const collapse = (list: string[]): boolean => {
    const orAt = list.indexOf('or')
    if (orAt >= 0) return collapse(list.slice(0, orAt)) || collapse(list.slice(orAt + 1))
    const andAt = list.indexOf('and')
    if (andAt >= 0) return collapse(list.slice(0, andAt)) && collapse(list.slice(andAt + 1))
    return list[0] === 'not' ? !collapse(list.slice(1)) : list[0] === 'true'
  }
  for (let open = words.lastIndexOf('('); open >= 0; open = words.lastIndexOf('(')) {
    const close = words.indexOf(')', open)
    words.splice(open, close - open + 1, String(collapse(words.slice(open + 1, close))))
  }
  return collapse(words)
}

test('property: evaluation agrees with a reference', () => {
  const names = ['a', 'b', 'c']
  const simple = fc.letrec<{ tree: Check }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true, maxDepth: 6 }, fc.oneof(fc.constantFrom<Check>({ is: 'always' }, { is: 'never' }), fc.constantFrom(...names).map((value): Check => ({ is: 'role', value }))), tie('tree').map((of): Check => ({ is: 'not', of })),
      fc.tuple(fc.constantFrom('and' as const, 'or' as const), fc.array(tie('tree'), { minLength: 2, maxLength: 3 })).map(([is, of]): Check => ({ is, of })),
    ),
  })).tree
  fc.assert(fc.property(simple, fc.subarray(names), (check, roles) => holds(check, { roles }, {}, new Map()) === reference(print(check), roles)))
})

test('property: nothing that is not there allows anything by a target', () => {
  fc.assert(fc.property(fc.string(), fc.string(), (attribute, name) => {
    const check: Check = { is: 'match', subject: { attribute }, value: `%(${name.replaceAll(')', '') || 'x'})s` }
    return !holds(check, { roles: [] }, {}, new Map()) && !holds(check, { roles: [] }, { [name]: null }, new Map())
  }))
})

test('rules name rules; a circle is found, and allows nothing even so', () => {
  const rules = new Map([['a', parse('rule:b and role:x')], ['b', parse('not rule:c or @')], ['c', parse('rule:a')], ['d', parse('rule:nowhere')]])
  assert.deepEqual(rulesNamed(parse('rule:a and not (rule:b or role:c)')), ['a', 'b'])
  assert.deepEqual(circle(rules), ['a', 'b', 'c', 'a'])
  assert.equal(circle(new Map([['a', parse('rule:b')], ['b', parse('@')]])), null)
  assert.equal(holds(parse('rule:d'), creds(), {}, rules), false)
  assert.equal(holds(parse('rule:x'), creds(), {}, new Map([['x', parse('rule:x')]])), false)
})
