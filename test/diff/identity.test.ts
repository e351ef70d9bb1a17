/** Every GET, POST, PATCH, PUT, HEAD and DELETE of the identity API against what a real Keystone answered to the same: see README.md. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { identity } from '../../workers/identity/service.ts'
import { compare, judge } from './compare.ts'
import { inProcess } from './in-process.ts'
import { explained, recorded } from './recording.ts'

/** Ours alone: no Keystone has them. Each with its reason, and the file that tests it. */
const OURS: Record<string, string> = {
  '/skyhook/import': 'the other half of `skyhook import keystone`: test/api/identity/import.test.ts',
  '/v3/OS-FEDERATION/identity_providers/:idp_id/protocols/:protocol_id/oidc': 'what upstream leaves to the configuration of the web server: test/api/identity/federation.test.ts',
  '/v3/auth/OS-FEDERATION/identity_providers/:idp_id/protocols/:protocol_id/websso/callback': "a browser's way back, which upstream leaves to the web server: test/api/identity/websso.test.ts",
}

test('identity answers as Keystone does, but for the differences that are explained', async () => {
  const [theirs, ours] = [recorded(), await inProcess('recorded')]
  const { unexplained, idle } = judge(compare(theirs, ours), explained())
  assert.deepEqual(unexplained.map(({ step, field, theirs, ours }) => `${step} | ${field} | ${JSON.stringify(theirs)} | ${JSON.stringify(ours)}`), [])
  assert.deepEqual(idle, [], 'explanations that explain nothing')
  const failed = Object.entries(ours).filter(([, { status }]) => status >= 500)
  assert.deepEqual(failed, [])
})

test('the script calls every route of the service', () => {
  const steps = Object.keys(recorded()).map((step) => step.replace(/<[^>]+>/g, '<>'))
  const pattern = (method: string, path: string) => new RegExp(`^[^:]+: ${method} ${path.replace(/:[a-z_]+/g, '[^/?]+')}(\\?\\S*)?( \\(.*| #\\d+)?$`)
  const missing = identity.routes.filter(({ method, path }) => OURS[path] === undefined && !steps.some((step) => pattern(method, path).test(step)))
  assert.deepEqual(Object.keys(OURS).filter((path) => !identity.routes.some((route) => route.path === path)), [], 'named, and not there')
  assert.deepEqual(missing.map(({ method, path }) => `${method} ${path}`), [])
})
