import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fillUrl } from './views.ts'

const facts = { origin: 'https://cloud', project_id: 'p1', user_id: 'u1' }

test('both notations are filled, other text stays', () => {
  assert.equal(fillUrl('$(origin)s/volume/v3/$(project_id)s', facts), 'https://cloud/volume/v3/p1')
  assert.equal(fillUrl('http://h/%(tenant_id)s/%(user_id)s/100%', facts), 'http://h/p1/u1/100%')
  assert.equal(fillUrl('http://h/plain', facts), 'http://h/plain')
})

test('a template that needs a project is left out without one', () => {
  assert.equal(fillUrl('$(origin)s/x/$(project_id)s', { ...facts, project_id: null }), null)
})
