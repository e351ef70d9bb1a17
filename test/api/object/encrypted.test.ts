/** The object store's own tests once more with everything that is written encrypted: the API is the same. What is on the disks then: encryption.test.ts. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

const SUITES = ['objects', 'features', 'large', 'symlinks', 'versioning', 'replicas', 's3', 's3-multipart', 's3-settings']
const TIMEOUT_MS = 300_000

test('the API tests of objects, large objects, links, versions, replicas and S3 hold with encryption on', { timeout: TIMEOUT_MS }, async () => {
  const files = SUITES.map((name) => join(import.meta.dirname, `${name}.test.ts`))
  // Without this a run inside a run says nothing and succeeds.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const argv = ['--disable-warning=ExperimentalWarning', '--import', './test/support/register.ts', '--test', '--test-concurrency=1', '--test-reporter=spec', ...files]
  const { stdout } = await promisify(execFile)(process.execPath, argv, { env: { ...env, SKYHOOK_TEST_ENCRYPTED: '1' }, cwd: join(import.meta.dirname, '../../..'), maxBuffer: 64 * 1024 * 1024 }).catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? String(error) }))
  const count = (what: string) => Number(new RegExp(`^ℹ ${what} (\\d+)$`, 'm').exec(stdout)?.[1] ?? Number.NaN)
  assert.equal(count('fail'), 0, stdout.slice(-8_000))
  assert.ok(count('pass') > 60, stdout.slice(-2_000))
})
