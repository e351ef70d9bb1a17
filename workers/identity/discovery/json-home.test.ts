/** The home document names what is served, and nothing else is asked for it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identity } from '../service.ts'
import { jsonHome, prefersHome } from './json-home.ts'

const shape = (path: string) => path.replace(/:[a-z_]+|\{[a-z_]+\}/gi, '*')

test('every resource of the home document is a route', () => {
  const served = new Set(identity.routes.map(({ path }) => shape(path)))
  const { resources } = jsonHome('/v3')
  assert.deepEqual(Object.values(resources).map((each) => each.href ?? each['href-template'] ?? '').filter((path) => !served.has(shape(path))), [])
  assert.ok(Object.keys(resources).length > 100)
})

test('every variable of a template is explained', () => {
  for (const each of Object.values(jsonHome('').resources)) {
    const names = [...(each['href-template'] ?? '').matchAll(/\{(\w+)\}/g)].map((match) => match[1])
    assert.deepEqual(Object.keys(each['href-vars'] ?? {}), names)
  }
})

test('the document goes to who asks for it', () => {
  const cases: [string | null, boolean][] = [
    [null, false], ['', false], ['*/*', false], ['application/json', false], ['application/json-home', true], ['application/json-home, application/json', false], ['application/json-home, application/json;q=0.5', true],
    ['application/json, application/json-home;q=0.5', false], ['application/json-home;q=0.8, */*;q=0.1', true], ['text/html', false], ['application/json-home;q=0', false],
  ]
  for (const [accept, wants] of cases) assert.equal(prefersHome(accept), wants, String(accept))
})
