import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pathMatches, ruleAllows } from './access-rules.ts'

test('a path matches as in upstream: * and {name} within a segment, ** across segments', () => {
  const yes: [string, string][] = [
    ['/v2.1/servers', '/v2.1/servers'], ['/v2.1/servers/abc', '/v2.1/servers/*'], ['/v2.1/servers/abc', '/v2.1/servers/{server_id}'], ['/v2.1/servers/abc/action', '/v2.1/servers/*/action'], ['/v2.1/servers/a/b/c', '/v2.1/servers/**'],
    ['/v2.1/', '/v2.1/**'], ['/a/b/c/d', '/**/d'], ['/v1/AUTH_p/c/a/b', '/v1/AUTH_p/c/**'], ['/a-x', '/a-*'],
  ]
  const no: [string, string][] = [
    ['/v2.1/servers', '/v2.1/servers/*'], ['/v2.1/servers/', '/v2.1/servers/*'], ['/v2.1/servers/a/b', '/v2.1/servers/*'], ['/v2.1/servers/a/b', '/v2.1/servers/{id}'], ['/v2x1/servers', '/v2.1/servers'], ['/v2.1/serversX', '/v2.1/servers'], ['/v2.1/servers', '/v2.1/server'],
  ]
  for (const [path, pattern] of yes) assert.ok(pathMatches(path, pattern), `${path} ${pattern}`)
  for (const [path, pattern] of no) assert.ok(!pathMatches(path, pattern), `${path} ${pattern}`)
})

test('property: the matcher agrees with the expression that upstream builds', () => {
  const quoted = (char: string) => char.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const part = fc.constantFrom('a', 'b', '/', '.', '*', '**', '{x}')
  fc.assert(fc.property(fc.array(part, { maxLength: 8 }), fc.array(fc.constantFrom('a', 'b', '/', '.'), { maxLength: 8 }), (pattern, path) => {
    const text = pattern.join('')
    const regex = text.replace(/\{[^}]*\}|\*\*+|\*|[^{}*]/g, (token) => (token.startsWith('**') ? '.*' : token === '*' || token.startsWith('{') ? '[^/]+' : quoted(token)))
    assert.equal(pathMatches(path.join(''), text), new RegExp(`^${regex}$`).test(path.join('')), `${path.join('')} ${text}`)
  }), { numRuns: 3_000 })
})

test('a hostile pattern costs no more than its length times the path', () => {
  const started = performance.now()
  assert.ok(!pathMatches(`/${'a'.repeat(4_000)}`, `${'/**a'.repeat(30)}b`))
  assert.ok(performance.now() - started < 1_000)
})

test('service, method and path must all be the rule\'s', () => {
  const service = { type: 'volumev3', prefix: '/volume' }
  const rule = { service: 'block-storage', method: 'GET', path: '/v3/*/volumes' }
  assert.ok(ruleAllows(rule, { method: 'GET', path: '/v3/p/volumes', service }))
  assert.ok(ruleAllows({ ...rule, path: '/volume/v3/*/volumes' }, { method: 'GET', path: '/v3/p/volumes', service }))
  assert.ok(!ruleAllows(rule, { method: 'HEAD', path: '/v3/p/volumes', service }))
  assert.ok(!ruleAllows({ ...rule, service: 'compute' }, { method: 'GET', path: '/v3/p/volumes', service }))
})
