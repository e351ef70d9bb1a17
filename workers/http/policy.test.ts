/** Policy: personas, overrides, and checks on real callers (check.test.ts has the grammar). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caller } from '../../schema/values/caller.ts'
import { Policy } from './policy.ts'

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

test('overrides replace a rule by name, as text or as lists, and may name rules of their own', () => {
  const rules = [{ name: 'x', check: '@' }]
  assert.ok(!new Policy(rules, { x: '!' }).allows('x', caller(['admin']), {}))
  assert.ok(new Policy(rules, { x: [['role:a', 'role:b'], 'role:c'] }).allows('x', caller(['c']), {}))
  const own = new Policy(rules, { x: 'rule:mine', mine: 'role:auditor' })
  assert.deepEqual([own.allows('x', caller(['auditor']), {}), own.allows('x', caller(['admin']), {})], [true, false])
})

test('an override that cannot be meant is refused with its name', () => {
  const rules = [{ name: 'x', check: '@' }]
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ x: '(role:admin' }, /policy override of x: policy check lacks a parenthesis/], [{ x: 5 }, /policy override of x is neither/], [{ x: 'rule:nowhere' }, /policy override of x names the rule nowhere/],
    [{ x: 'rule:x' }, /leads back to itself: x -> x/], [{ x: 'not rule:y', y: 'role:a or rule:x' }, /x -> y -> x/],
  ]
  for (const [overrides, message] of cases) assert.throws(() => new Policy(rules, overrides as never), message)
})
