/** Metadata definitions: admins write, everybody reads what is public. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { recordingCloud } from '../volume/recording-host.ts'

type Cloud = Awaited<ReturnType<typeof recordingCloud>>
let at: Cloud
let admin: string
let member: string
before(async () => {
  at = await recordingCloud()
  admin = await at.cloud.token({ role: 'admin', project_id: 'project-adm' })
  member = await at.cloud.token()
})
after(() => at.cloud.close())

const call = (method: string, path: string, json?: unknown, token = admin) => at.cloud.call(method, `/image/v2/metadefs${path}`, { token, json })

test('a namespace with objects, properties, tags and resource types', async () => {
  const made = await call('POST', '/namespaces', { namespace: 'n1', visibility: 'public', protected: true, resource_type_associations: [{ name: 'OS::Nova::Flavor', prefix: 'hw_' }] })
  assert.equal(made.status, 201, made.text)
  assert.equal((await call('POST', '/namespaces', { namespace: 'n1' })).status, 409)
  assert.equal((await call('POST', '/namespaces', { namespace: 'n2' }, member)).status, 403)
  assert.equal((await call('POST', '/namespaces', { visibility: 'public' })).status, 400)
  assert.equal((await call('GET', '/namespaces/n1', undefined, member)).body.resource_type_associations[0].prefix, 'hw_')
  assert.equal((await call('POST', '/namespaces/n1/objects', { name: 'o', description: 'd' })).body.name, 'o')
  assert.equal((await call('PUT', '/namespaces/n1/objects/o', { name: 'p' })).body.name, 'p')
  assert.equal((await call('GET', '/namespaces/n1/objects/o')).status, 404)
  assert.equal((await call('POST', '/namespaces/n1/properties', { name: 'cpu', title: 'CPU', type: 'string' })).status, 201)
  assert.equal((await call('GET', '/namespaces/n1/properties')).body.properties.cpu.title, 'CPU')
  assert.equal((await call('POST', '/namespaces/n1/tags', { tags: [{ name: 'a' }, { name: 'b' }] })).status, 201)
  assert.equal((await call('POST', '/namespaces/n1/tags/c')).status, 201)
  assert.deepEqual((await call('GET', '/namespaces/n1/tags')).body.tags.map((tag: { name: string }) => tag.name), ['a', 'b', 'c'])
  assert.equal((await call('DELETE', '/namespaces/n1')).status, 403)
  assert.equal((await call('PUT', '/namespaces/n1', { namespace: 'n1', visibility: 'private', protected: false })).status, 200)
  assert.equal((await call('GET', '/namespaces/n1', undefined, member)).status, 404)
  assert.equal((await call('DELETE', '/namespaces/n1')).status, 204)
  assert.equal((await call('GET', '/namespaces/n1')).status, 404)
  assert.equal((await call('POST', '/namespaces', { namespace: 'n1' })).status, 201)
})
