/** Faults of validation in the words of Keystone's schema library. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import { bool, changed, immutable, name64, tags, text, wrapped } from './words.ts'
import { python, wording } from './wording.ts'

const said = (schema: v.GenericSchema, value: unknown) => {
  const result = v.safeParse(schema, value, { abortEarly: true })
  return result.success ? null : wording(result.issues[0])
}
const project = wrapped('project', { name: name64, enabled: v.optional(bool), description: text, tags: v.optional(tags), options: immutable })

test('each kind of mistake has its sentence', () => {
  const cases: [unknown, string | null][] = [
    [{}, "'name' is a required property"],
    [{ project: {} }, "'name' is a required property"],
    [{ project: 'text' }, "'text' is not of type 'object'"],
    [{ project: { name: '' } }, "Invalid input for field 'name': '' is too short"],
    [{ project: { name: '  ' } }, "Invalid input for field 'name': '  ' does not match '[\\\\S]+'"],
    [{ project: { name: null } }, "Invalid input for field 'name': None is not of type 'string'"],
    [{ project: { name: 'x'.repeat(65) } }, `Invalid input for field 'name': '${'x'.repeat(65)}' is too long`],
    [{ project: { name: 'x', enabled: 'yes' } }, "Invalid input for field 'enabled': 'yes' is not of type 'boolean'"],
    [{ project: { name: 'x', description: 5 } }, "Invalid input for field 'description': 5 is not of type 'string', 'null'"],
    [{ project: { name: 'x', tags: ['a', 'a'] } }, "Invalid input for field 'tags': ['a', 'a'] has non-unique elements"],
    [{ project: { name: 'x', tags: ['a,b'] } }, "Invalid input for field 'tags/0': 'a,b' does not match '^[^,/]*$'"],
    [{ project: { name: 'x', options: { y: 1 } } }, "Invalid input for field 'options': Additional properties are not allowed ('y' was unexpected)"],
    [{ project: { name: 'x', colour: 'red' } }, null],
  ]
  for (const [body, sentence] of cases) assert.equal(said(project, body), sentence)
  assert.equal(said(changed('project', { name: v.optional(name64) }), { project: {} }), '{} does not have enough properties')
})

test('values are shown as Python shows them, cut where they are long', () => {
  assert.equal(python({ a: [true, null, "it's", 1.5] }), `{'a': [True, None, "it's", 1.5]}`)
  assert.ok((said(project, { project: { name: 'x', enabled: 'y'.repeat(10_000) } }) ?? '').length < 2_200)
})
