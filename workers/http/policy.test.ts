/** Policy check strings: grammar, personas, and properties of the operators. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Caller } from '../../schema/values/caller.ts'
import { Policy, parseCheck } from './policy.ts'

const caller = (roles: string[], project_id: string | null = 'p'): Caller => ({
  user_id: 'u', user_name: 'u', user_domain_id: 'default', project_id, project_name: null, project_domain_id: null, domain_id: null, system: false, roles, audit_ids: [], methods: [], issued_ms: 0, expires_ms: 1, request_id: 'r',
})
const allows = (check: string, who: Caller, target = {}) => new Policy([{ name: 'x', check }]).allows('x', who, target)

test('leaves: role, attribute, literal, constants', () => {
  assert.ok(allows('role:ADMIN', caller(['admin'])))
  assert.ok(allows('project_id:%(project_id)s', caller([]), { project_id: 'p' }))
  assert.ok(!allows('project_id:%(project_id)s', caller([]), { project_id: 'q' }))
  assert.ok(!allows('project_id:%(project_id)s', caller([]), {}))
  assert.ok(!allows('project_id:%(project_id)s', caller([], null), { project_id: null }), 'no project is nobody\'s project')
  assert.ok(allows('domain_id:None', caller([])) && !allows('project_id:None', caller([])))
  assert.ok(allows("'public':%(visibility)s", caller([]), { visibility: 'public' }))
  assert.ok(allows('@', caller([])) && !allows('!', caller(['admin'])))
})

test('personas: reader may read, member write, a foreign admin both, nobody else', () => {
  const policy = new Policy([])
  assert.ok(policy.allows('project_reader_or_admin', caller(['reader']), { project_id: 'p' }))
  assert.ok(!policy.allows('project_member_or_admin', caller(['reader']), { project_id: 'p' }))
  assert.ok(policy.allows('project_member_or_admin', caller(['admin']), { project_id: 'q' }))
  assert.ok(!policy.allows('project_member_or_admin', caller(['member']), { project_id: 'q' }))
  assert.ok(!policy.allows('no-such-rule', caller(['admin']), {}))
})

test('overrides replace a rule by name; a rule that names itself allows nothing', () => {
  assert.ok(!new Policy([{ name: 'x', check: '@' }], { x: '!' }).allows('x', caller(['admin']), {}))
  assert.ok(!new Policy([{ name: 'x', check: 'rule:x' }]).allows('x', caller(['admin']), {}))
})

test('malformed checks are refused by name', () => {
  for (const bad of ['(role:admin', 'role:admin role:member', 'and role:admin', 'strange', 'not']) assert.throws(() => parseCheck(bad), /policy check/)
})

test('property: and, or, not and parentheses mean what logic says', () => {
  const names = ['a', 'b', 'c']
  type Tree = { text: string; value(roles: string[]): boolean }
  const leaf = fc.constantFrom(...names).map((name): Tree => ({ text: `role:${name}`, value: (roles) => roles.includes(name) }))
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.tuple(tie('tree'), tie('tree')).map(([x, y]): Tree => ({ text: `(${x.text} and ${y.text})`, value: (roles) => x.value(roles) && y.value(roles) })),
      fc.tuple(tie('tree'), tie('tree')).map(([x, y]): Tree => ({ text: `(${x.text} or ${y.text})`, value: (roles) => x.value(roles) || y.value(roles) })),
      tie('tree').map((x): Tree => ({ text: `not ${x.text}`, value: (roles) => !x.value(roles) })),
    ),
  }))
  fc.assert(fc.property(tree, fc.subarray(names), (t, roles) => allows(t.text, caller(roles)) === t.value(roles)))
})
