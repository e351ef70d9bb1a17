/** The object store's ring by the operator's command, on the shipped cloud with simulated hosts: regions, a composed ring and back, while objects are read. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Shipped, shipped } from '../support/shipped.ts'

const OBJECTS = 20
let cloud: Shipped
let token = ''
let root = ''

before(async () => {
  cloud = await shipped('sim:4')
  await cloud.api.login()
  root = `/object-store/v1/AUTH_${cloud.api.projectId}/ring`
  const login = await cloud.call('POST', '/identity/v3/auth/tokens', {
    json: { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password: cloud.password } } }, scope: { project: { name: 'admin', domain: { id: 'default' } } } } },
  })
  token = login.headers.get('x-subject-token') ?? ''
  await cloud.until('four devices in the ring', async () => ((await cloud.api.call('GET', '/agents/v1/rings/0')) as { ring: { devices: unknown[] } }).ring.devices.length === 4)
  assert.equal((await cloud.call('PUT', root, { token })).status, 201)
  for (let n = 0; n < OBJECTS; n++) assert.equal((await cloud.call('PUT', `${root}/o${n}`, { token, body: `object ${n}` })).status, 201)
}, { timeout: 180_000 })
after(() => cloud.remove())

function ring(...args: string[]): { status: number | null; out: string } {
  const done = cloud.cli(['ring', ...args])
  return { status: done.status, out: `${done.stdout}${done.stderr}` }
}
async function allRead(): Promise<void> {
  for (let n = 0; n < OBJECTS; n++) assert.equal((await cloud.call('GET', `${root}/o${n}`, { token })).text, `object ${n}`)
}

test('a ring is composed of two regions and made one again; what is wrong is refused in a sentence', { timeout: 240_000 }, async () => {
  for (const host of ['sim-3', 'sim-4']) assert.equal(ring('region', `${host}/d1`, '2').status, 0)
  const composed = ring('compose', 'east=1:2', 'west=2:1')
  assert.equal(composed.status, 0, composed.out)
  assert.match(composed.out, /component east: 2 replicas in region 1\n\s+component west: 1 replicas in region 2\n/)
  await allRead()
  assert.equal((await cloud.call('PUT', `${root}/new`, { token, body: 'new' })).status, 201)
  const passes = ring('run', 'updater', 'replicator')
  assert.equal(passes.status, 0, passes.out)
  await allRead()
  for (const [args, why] of [[['compose', 'east=1:2'], /2 to 16 components/], [['compose', 'east=1:2', 'west=1:1'], /region 1 is in east and in west/], [['compose', 'a=9:1', 'b=1+2:2'], /no device is in region 9/], [['compose', 'east'], /is no component/], [['set', '--replicas', '2'], /those of its components/], [['--nonsense'], /Unknown option/]] as [string[], RegExp][]) {
    const refused = ring(...args)
    assert.equal(refused.status, 1, args.join(' '))
    assert.match(refused.out, why)
    assert.doesNotMatch(refused.out, /\n\s+at /, 'no stack')
  }
  const one = ring('compose', 'none')
  assert.equal(one.status, 0, one.out)
  assert.doesNotMatch(one.out, /component/)
  await allRead()
  assert.equal((await cloud.call('GET', `${root}/new`, { token })).text, 'new')
})
