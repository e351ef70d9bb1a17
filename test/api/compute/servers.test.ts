/** The life of a server through the API, on simulated hosts under virtual time. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SimCloud } from '../../sim/simcloud.ts'
import { Compute } from './client.ts'

let sim: SimCloud
let api: Compute
before(async () => {
  sim = await SimCloud.start(1, 2)
  api = new Compute(sim, 'project-a')
  await api.prepare()
})
after(() => sim.close())

test('a server is created, placed, and becomes active with an address', async () => {
  const id = await api.boot('life')
  const server = await api.server(id)
  assert.equal(server.status, 'ACTIVE')
  assert.equal(server['OS-EXT-STS:power_state'], 1)
  assert.equal(Object.values(server.addresses).flat().length, 1)
})

test('stop, start, pause, suspend and both reboots end in the state they promise', async () => {
  const id = await api.boot('power')
  const steps: [object, string][] = [
    [{ 'os-stop': null }, 'SHUTOFF'], [{ 'os-start': null }, 'ACTIVE'], [{ reboot: { type: 'SOFT' } }, 'ACTIVE'], [{ reboot: { type: 'HARD' } }, 'ACTIVE'], [{ pause: null }, 'PAUSED'], [{ unpause: null }, 'ACTIVE'], [{ suspend: null }, 'SUSPENDED'],
    [{ resume: null }, 'ACTIVE'],
  ]
  for (const [body, status] of steps) {
    await api.action(id, body)
    await api.status(id, status)
  }
  await api.fails(409, /Cannot 'start' instance .* while it is in vm_state active/, 'POST', `/compute/v2.1/servers/${id}/action`, { 'os-start': null })
  const actions = (await api.ok('GET', `/compute/v2.1/servers/${id}/os-instance-actions`)).instanceActions
  assert.deepEqual(actions.map((action: { action: string }) => action.action).sort(), ['create', 'pause', 'reboot', 'reboot', 'resume', 'start', 'stop', 'suspend', 'unpause'])
})

test('resize holds both sizes until it is confirmed or reverted', async () => {
  const id = await api.boot('resize')
  const quota = async () => (await api.ok('GET', '/compute/v2.1/limits')).limits.absolute.totalRAMUsed
  const before = await quota()
  await api.action(id, { resize: { flavorRef: '2' } })
  await api.status(id, 'VERIFY_RESIZE')
  assert.equal((await quota()) - before, 2048 - 512)
  const held = await sim.finish(sim.call('admin', 'GET', `/placement/allocations/${id}`))
  assert.equal(held.status, 200)
  await api.action(id, { revertResize: null })
  await api.status(id, 'ACTIVE')
  assert.equal(await quota(), before)
  await api.action(id, { resize: { flavorRef: '2' } })
  await api.status(id, 'VERIFY_RESIZE')
  await api.action(id, { confirmResize: null })
  const server = await api.status(id, 'ACTIVE')
  assert.equal(server.flavor.id, '2')
  await api.fails(400, /smaller than the server/, 'POST', `/compute/v2.1/servers/${id}/action`, { resize: { flavorRef: '1' } })
})

test('rebuild, image of a server, shelve and unshelve', async () => {
  const id = await api.boot('images')
  const rebuilt = await api.action(id, { rebuild: { imageRef: api.imageId, name: 'rebuilt' } })
  assert.ok(rebuilt.server.adminPass)
  assert.equal((await api.status(id, 'ACTIVE')).name, 'rebuilt')
  const { image_id } = await api.action(id, { createImage: { name: 'snap' } }, { minor: 45 })
  await api.until('the image is active', async () => (await api.ok('GET', `/image/v2/images/${image_id}`)).status === 'active')
  await api.status(id, 'ACTIVE')
  await api.action(id, { shelve: null })
  const shelved = await api.status(id, 'SHELVED_OFFLOADED')
  assert.equal(shelved.hostId, '')
  await api.action(id, { unshelve: null })
  await api.status(id, 'ACTIVE')
  await api.until('the shelved image is gone', async () => !(await api.ok('GET', '/image/v2/images')).images.some((image: { name: string }) => image.name.endsWith('-shelved')))
})

test('a volume is attached, seen by the guest, and detached', async () => {
  const id = await api.boot('volumes')
  const volume = (await api.ok('POST', '/volume/v3/project-a/volumes', { volume: { size: 1 } })).volume.id
  const status = async () => (await api.ok('GET', `/volume/v3/project-a/volumes/${volume}`)).volume.status
  await api.until('the volume is available', async () => (await status()) === 'available')
  const attached = await api.ok('POST', `/compute/v2.1/servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId: volume } })
  assert.equal(attached.volumeAttachment.device, '/dev/vdb')
  await api.until('the volume is in use', async () => (await status()) === 'in-use')
  assert.deepEqual((await api.server(id))['os-extended-volumes:volumes_attached'], [{ id: volume }])
  await api.fails(400, /already attached/, 'POST', `/compute/v2.1/servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId: volume } })
  await api.ok('DELETE', `/compute/v2.1/servers/${id}/os-volume_attachments/${volume}`)
  await api.until('the volume is available again', async () => (await status()) === 'available')
  assert.deepEqual((await api.ok('GET', `/compute/v2.1/servers/${id}/os-volume_attachments`)).volumeAttachments, [])
})

test('a server boots from a volume made of an image, and takes it along when it goes', async () => {
  const mapping = [{ boot_index: 0, source_type: 'image', destination_type: 'volume', uuid: api.imageId, volume_size: 1, delete_on_termination: true }]
  const id = await api.boot('bfv', { imageRef: '', block_device_mapping_v2: mapping })
  const server = await api.server(id)
  assert.equal(server.image, '')
  const volume = server['os-extended-volumes:volumes_attached'][0].id
  await api.ok('DELETE', `/compute/v2.1/servers/${id}`)
  await api.gone(id)
  await api.until('the volume is gone', async () => (await api.call('GET', `/volume/v3/project-a/volumes/${volume}`)).status === 404)
})

test('a deleted server gives back its port, its quota and its room', async () => {
  const id = await api.boot('short')
  const ports = async () => (await api.ok('GET', `/network/v2.0/ports?device_id=${id}`)).ports.length
  assert.equal(await ports(), 1)
  await api.ok('DELETE', `/compute/v2.1/servers/${id}`)
  await api.gone(id)
  assert.equal(await ports(), 0)
  const held = () => sim.cluster.instance('REGION', 'region').system('t').compute.scheduler.allocations({ consumer_id: id })
  await api.until('the allocation is released', async () => held().length === 0)
})

test('interfaces and security groups come and go', async () => {
  const id = await api.boot('nics')
  const { interfaceAttachment } = await api.ok('POST', `/compute/v2.1/servers/${id}/os-interface`, { interfaceAttachment: { net_id: api.networkId } })
  await api.until('both ports are active', async () => {
    const list = (await api.ok('GET', `/compute/v2.1/servers/${id}/os-interface`)).interfaceAttachments
    return list.length === 2 && list.every((port: { port_state: string }) => port.port_state === 'ACTIVE')
  })
  await api.ok('DELETE', `/compute/v2.1/servers/${id}/os-interface/${interfaceAttachment.port_id}`)
  await api.until('one is left', async () => (await api.ok('GET', `/compute/v2.1/servers/${id}/os-interface`)).interfaceAttachments.length === 1)
  const group = (await api.ok('POST', '/network/v2.0/security-groups', { security_group: { name: 'web' } })).security_group
  await api.action(id, { addSecurityGroup: { name: 'web' } })
  assert.ok((await api.server(id)).security_groups.some((found: { name: string }) => found.name === 'web'))
  assert.ok((await api.ok('GET', `/compute/v2.1/servers/${id}/os-security-groups`)).security_groups.some((found: { id: string }) => found.id === group.id))
  await api.action(id, { removeSecurityGroup: { name: 'web' } })
  assert.ok(!(await api.server(id)).security_groups.some((found: { name: string }) => found.name === 'web'))
})

test('the console log is the guest\'s, and a console URL carries a token that can be checked', async () => {
  const id = await api.boot('console')
  const { output } = await api.action(id, { 'os-getConsoleOutput': {} })
  assert.match(output, /login/)
  const { remote_console } = await api.ok('POST', `/compute/v2.1/servers/${id}/remote-consoles`, { remote_console: { protocol: 'vnc', type: 'novnc' } }, { minor: 6 })
  const token = new URL(decodeURIComponent(new URL(remote_console.url).searchParams.get('path') ?? ''), 'http://x/').searchParams.get('token') ?? ''
  const checked = await api.ok('GET', `/compute/v2.1/os-console-auth-tokens/${token}`, undefined, { tenant: 'admin', minor: 31 })
  assert.equal(checked.console.instance_uuid, id)
  await api.fails(404, /Token not found/, 'GET', `/compute/v2.1/os-console-auth-tokens/${token}x`, undefined, { tenant: 'admin', minor: 31 })
})
