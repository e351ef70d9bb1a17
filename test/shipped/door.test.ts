/** Doors of the shipped cloud: the catalog leads there, and kill -9 of the agent while the plane stands still loses no acknowledged write. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Shipped, freePort, shipped } from '../support/shipped.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
let cloud: Shipped
let door = ''
let token = ''
let account = ''

before(async () => {
  const port = await freePort()
  cloud = await shipped('sim:1', { SKYHOOK_DOOR: `127.0.0.1:${port}` })
  door = `http://127.0.0.1:${port}`
  const login = await cloud.call('POST', '/identity/v3/auth/tokens', {
    json: { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password: cloud.password } } }, scope: { project: { name: 'admin', domain: { id: 'default' } } } } },
  })
  token = login.headers.get('x-subject-token') ?? ''
  const body = login.body as { token: { project: { id: string }; catalog: { type: string; endpoints: { interface: string; url: string }[] }[] } }
  account = `/object-store/v1/AUTH_${body.token.project.id}`
  const internal = body.token.catalog.find(({ type }) => type === 'object-store')?.endpoints.filter((one) => one.interface === 'internal').map(({ url }) => url)
  assert.deepEqual(internal, [`${door}${account}`], 'the internal endpoint is the door')
  const s3 = body.token.catalog.find(({ type }) => type === 's3')?.endpoints.filter((one) => one.interface === 'internal').map(({ url }) => url)
  assert.deepEqual(s3, [`${door}/s3`], 'and so is that of S3')
  await online()
}, { timeout: 180_000 })
after(() => cloud.remove())

const swift = async (method: string, path: string, body?: string) => {
  const response = await fetch(`${door}${account}${path}`, { method, headers: { 'x-auth-token': token }, ...(body === undefined ? {} : { body }), signal: AbortSignal.timeout(30_000) })
  return { status: response.status, text: await response.text() }
}
const health = async () => (await (await fetch(`${door}/door/v1/health`)).json()) as { online: boolean; pending: number; refused: number }
const online = () => cloud.until('the door to be online', async () => {
  const now = await health()
  return now.online && now.pending === 0
})

test('a write acknowledged while the plane stands still is listed after kill -9 of the agent and the return of the plane', { timeout: 180_000 }, async () => {
  assert.equal((await swift('PUT', '/site')).status, 201)
  assert.equal((await swift('PUT', '/site/before', 'before')).status, 201)
  // What was heard of the container is written down a moment later.
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  const { workerd, 'sim-agents': agent } = cloud.state().processes as Record<string, number>
  process.kill(workerd as number, 'SIGSTOP')
  try {
    assert.equal((await swift('PUT', '/site/alone', 'written alone')).status, 201)
    assert.equal((await health()).online, false)
    process.kill(agent as number, 'SIGKILL')
    await cloud.until('the agent to be back', async () => (cloud.state().processes['sim-agents'] ?? agent) !== agent && (await health()).pending === 1, 90_000)
    assert.equal((await swift('GET', '/site/alone')).text, 'written alone')
    assert.equal((await swift('GET', '/site')).status, 503)
  } finally {
    process.kill(workerd as number, 'SIGCONT')
  }
  await online()
  const list = await cloud.call('GET', `${account}/site?format=json`, { token })
  assert.deepEqual((list.body as { name: string; hash: string }[]).map(({ name, hash }) => [name, hash]), [['alone', md5('written alone')], ['before', md5('before')]])
  assert.equal((await health()).refused, 0)
})
