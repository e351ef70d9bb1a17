import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServerMetadata } from '../schema/agent/desired.ts'
import { configDriveFiles } from './drivers/hypervisor/qemu/config-drive.ts'
import { answerMetadata, metadataSource } from './metadata.ts'
import { absent, networkItem, portItem, serverItem } from './sim/samples.ts'

const metadata: ServerMetadata = {
  uuid: '12345678-1234-4234-8234-123456789abc', name: 'vm', hostname: 'vm.novalocal', project_id: 'p1', availability_zone: 'nova', launch_index: 0, instance_type: 'm1.tiny', meta: { role: 'web' },
  public_keys: { k: 'ssh-ed25519 AAAA me' }, keys: [{ name: 'k', type: 'ssh', data: 'ssh-ed25519 AAAA me' }], user_data_base64: Buffer.from('#!/bin/sh\n').toString('base64'), admin_pass: 'secret', network_data: { links: [] },
}
const ask = (path: string, method = 'GET', headers: Record<string, string> = {}, change: Partial<ServerMetadata> = {}) =>
  answerMetadata({ metadata: { ...metadata, ...change }, local_ipv4: '10.0.0.5' }, { method, path, headers, body: new Uint8Array() })

test("OpenStack's documents by date", () => {
  const { status, headers, body } = ask('/openstack/latest/meta_data.json')
  assert.equal(status, 200)
  assert.equal(headers['content-type'], 'application/json')
  const document = JSON.parse(String(body))
  assert.deepEqual([document.uuid, document.hostname, document.project_id, document.admin_pass, document.public_keys.k], [metadata.uuid, 'vm.novalocal', 'p1', 'secret', 'ssh-ed25519 AAAA me'])
  assert.equal(JSON.parse(String(ask('/openstack/2012-08-10/meta_data.json').body)).project_id, undefined)
  assert.deepEqual(JSON.parse(String(ask('/openstack/2018-08-27/network_data.json').body)), { links: [] })
  assert.equal(ask('/openstack/2012-08-10/network_data.json').status, 404)
  assert.match(String(ask('/openstack').body), /2018-08-27\n2020-10-14\nlatest$/)
  assert.match(String(ask('/openstack/latest/').body), /^meta_data.json\nuser_data\n/)
  assert.equal(Buffer.from(ask('/openstack/latest/user_data').body as Uint8Array).toString(), '#!/bin/sh\n')
  assert.equal(ask('/openstack/latest/password').status, 200)
  assert.equal(ask('/openstack/latest/vendor_data2.json').body, '{}')
})

test("Amazon's tree", () => {
  assert.match(String(ask('/').body), /2009-04-04\nlatest$/)
  assert.equal(ask('/latest').body, 'meta-data/\nuser-data')
  assert.equal(ask('/latest/meta-data/local-ipv4').body, '10.0.0.5')
  assert.match(String(ask('/2009-04-04/meta-data/instance-id').body), /^i-[0-9a-f]{17}$/)
  assert.equal(ask('/latest/meta-data/public-keys/').body, '0=k')
  assert.equal(ask('/latest/meta-data/public-keys/0').body, 'openssh-key')
  assert.equal(ask('/latest/meta-data/public-keys/0/openssh-key').body, 'ssh-ed25519 AAAA me')
  assert.equal(ask('/latest/meta-data/placement/availability-zone').body, 'nova')
  assert.match(String(ask('/latest/meta-data/').body), /placement\//)
  assert.equal(ask('/latest/meta-data/public-keys', 'GET', {}, { public_keys: {} }).status, 404)
})

test('a session token is given to who asks for it by PUT, and not through a proxy', () => {
  const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': '60' }
  const { status, headers, body } = ask('/latest/api/token', 'PUT', ttl)
  assert.deepEqual([status, headers['x-aws-ec2-metadata-token-ttl-seconds']], [200, '60'])
  assert.ok(String(body).length > 10)
  assert.equal(ask('/latest/api/token', 'PUT', { ...ttl, 'x-forwarded-for': '1.2.3.4' }).status, 403)
  assert.equal(ask('/latest/api/token', 'PUT').status, 400)
})

test('what is not there is 404, and other methods are 405', () => {
  for (const path of ['/nothing', '/openstack/1999-01-01/meta_data.json', '/openstack/latest/../..', '/latest/meta-data/constructor', '/latest/meta-data/__proto__', '/latest/meta-data/hostname/length']) assert.equal(ask(path).status, 404, path)
  assert.equal(ask('/openstack/latest/user_data', 'GET', {}, { user_data_base64: null }).status, 404)
  assert.equal(ask('/openstack/latest/meta_data.json', 'DELETE').status, 405)
  assert.equal(ask('/%zz').status, 400)
})

test('the asking server is found by network and address alone', async () => {
  const items = [networkItem('n1'), networkItem('n2'), portItem('p1', 'n1', 's1'), portItem('p2', 'n2', 's2'), serverItem('s1'), serverItem('s2')]
  const state = { version: 1, items: Object.fromEntries(items.map((item) => [`${item.kind}/${item.id}`, item])) }
  const source = metadataSource(state as never)
  assert.equal(source.find('n1', '10.0.0.5'), 's1')
  assert.equal(source.find('n2', '10.0.0.5'), 's2')
  assert.equal(source.find('n1', '10.0.0.6'), null)
  const answer = await source.answer('s2', { method: 'GET', path: '/openstack/latest/meta_data.json', headers: { 'x-instance-id': 's1', 'x-forwarded-for': '10.0.0.9' }, body: new Uint8Array() })
  assert.equal(JSON.parse(String(answer.body)).uuid, 's2')
  const gone = absent(serverItem('s2'))
  state.items['server/s2'] = gone as never
  assert.equal((await source.answer('s2', { method: 'GET', path: '/openstack', headers: {}, body: new Uint8Array() })).status, 404)
})

test('the config drive says the same', () => {
  const files = configDriveFiles(metadata)
  assert.equal(JSON.parse(String(files['openstack/latest/meta_data.json'])).hostname, 'vm.novalocal')
  assert.equal(Buffer.from(files['openstack/latest/user_data'] as Uint8Array).toString(), '#!/bin/sh\n')
  assert.equal(JSON.parse(String(files['ec2/latest/meta-data.json']))['instance-type'], 'm1.tiny')
  assert.equal(configDriveFiles({ ...metadata, user_data_base64: null })['openstack/latest/user_data'], undefined)
})
