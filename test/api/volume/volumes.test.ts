/** Cinder v3 through the Worker: volumes, snapshots, types, attachments, backups, transfers, quotas. Hosts are recorded, the objects are real. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { newRecord, recordingCloud, until } from './recording-host.ts'

type Cloud = Awaited<ReturnType<typeof recordingCloud>>
let at: Cloud
let token: string
let other: string
let admin: string
let reader: string
const LATEST = { 'openstack-api-version': 'volume 3.71' }

before(async () => {
  at = await recordingCloud()
  token = await at.cloud.token()
  other = await at.cloud.token({ project_id: 'project-b', user_id: 'user-b' })
  admin = await at.cloud.token({ role: 'admin', project_id: 'project-adm', user_id: 'root' })
  reader = await at.cloud.token({ role: 'reader' })
  await call('PUT', '/os-quota-sets/project-a', { token: admin, project: 'project-adm', json: { quota_set: { volumes: 100, snapshots: 100, gigabytes: 2000, backups: 100 } } })
})
beforeEach(() => Object.assign(at.record.behaviour, newRecord().behaviour))
after(() => at.cloud.close())

const PROJECTS = () => new Map([[token, 'project-a'], [other, 'project-b'], [admin, 'project-adm'], [reader, 'project-a']])
const call = (method: string, path: string, options: NonNullable<Parameters<Cloud['cloud']['call']>[2]> & { project?: string } = {}) => {
  const as = options.token ?? token
  return at.cloud.call(method, `/volume/v3/${options.project ?? PROJECTS().get(as)}${path}`, { ...options, token: as })
}
const volume = async (body: object = {}, as = token, want = 'available') => {
  const answer = await call('POST', '/volumes', { token: as, json: { volume: { size: 1, ...body } } })
  assert.equal(answer.status, 202, answer.text)
  assert.equal(answer.body.volume.status, 'creating')
  return await until(async () => (await call('GET', `/volumes/${answer.body.volume.id}`, { token: as })).body.volume, (shown) => shown.status === want, `volume ${want}`)
}
const status = async (id: string, kind = 'volumes') => {
  const answer = await call('GET', `/${kind}/${id}`, { headers: LATEST })
  return answer.status === 404 ? 'gone' : answer.body[kind.slice(0, -1)].status
}
const becomes = (id: string, want: string, kind = 'volumes') => until(() => status(id, kind), (now) => now === want, `${kind} ${want}`)
const action = (id: string, body: object, options: object = {}) => call('POST', `/volumes/${id}/action`, { json: body, ...options })
const clean = () => assert.deepEqual(at.cloud.cluster.instance('PROJECT', 'project-a').verify().filter((found: { resource: string }) => !/^server/.test(found.resource)), [])

test('versions: 300 at the root, the range in the version, 406 outside it, 400 for a foreign project in the path', async () => {
  assert.equal((await at.cloud.call('GET', '/volume')).status, 300)
  assert.equal((await at.cloud.call('GET', '/volume/v3/')).body.versions[0].version, '3.71')
  assert.equal((await call('GET', '/volumes', { headers: { 'openstack-api-version': 'volume 3.99' } })).status, 406)
  assert.equal((await call('GET', '/volumes', { project: 'project-b' })).status, 400)
  assert.equal((await at.cloud.call('GET', '/volume/v3/volumes', { token, headers: LATEST })).status, 200)
})

test('a volume is placed on the host with the fewest, made there, shown, changed and deleted', async () => {
  const one = await volume({ name: 'one', metadata: { a: '1' } })
  const two = await volume({ name: 'two' })
  const items = at.record.items.filter((item) => item.kind === 'volume')
  assert.notEqual(items.find((item) => item.id === one.id)?.host_id, items.find((item) => item.id === two.id)?.host_id)
  assert.equal(one.bootable, 'false')
  assert.equal(one.volume_type, '__DEFAULT__')
  assert.equal(one['os-vol-host-attr:host'], undefined)
  const asAdmin = await call('GET', `/volumes/${one.id}`, { token: admin })
  assert.match(asAdmin.body.volume['os-vol-host-attr:host'], /^(alpha|beta)@fake#pool$/)
  const changed = await call('PUT', `/volumes/${one.id}`, { json: { volume: { name: 'uno', description: 'd' } } })
  assert.equal(changed.body.volume.name, 'uno')
  assert.equal((await call('GET', `/volumes/${one.id}`, { token: other })).status, 404)
  assert.equal((await call('DELETE', `/volumes/${one.id}`, { token: other })).status, 404)
  assert.equal((await call('DELETE', `/volumes/${one.id}`, { token: reader })).status, 403)
  assert.equal((await call('DELETE', `/volumes/${one.id}`)).status, 202)
  await becomes(one.id, 'gone')
  const allocations = await at.cloud.env.REGION.getByName('region').system('test').volume.scheduler.allocations()
  await until(async () => (await at.cloud.env.REGION.getByName('region').system('test').volume.scheduler.allocations()).some((row) => row.volume_id === one.id), (left) => !left, 'the claim is given back')
  assert.ok(allocations.length > 0)
  clean()
})

test('bad input is refused with the field; over quota is 413', async () => {
  for (const size of ['#$%', '', '0', '-1', 0, 1.5]) assert.equal((await call('POST', '/volumes', { json: { volume: { size } } })).status, 400, `size ${size}`)
  assert.match((await call('POST', '/volumes', { json: { volume: { size: 'x' } } })).text, /size/)
  assert.equal((await call('POST', '/volumes', { json: { volume: { size: 1, volume_type: 'none' } } })).status, 404)
  assert.equal((await call('POST', '/volumes', { json: { volume: { size: 1, snapshot_id: 'none' } } })).status, 404)
  assert.equal((await call('POST', '/volumes', { json: { volume: { size: 1, source_volid: 'none' } } })).status, 404)
  assert.equal((await call('POST', '/volumes', { json: { volume: { size: 1, availability_zone: 'mars' } } })).status, 400)
  assert.equal((await call('POST', '/volumes', { token: reader, json: { volume: { size: 1 } } })).status, 403)
  const over = await call('POST', '/volumes', { json: { volume: { size: 100_000 } } })
  assert.equal(over.status, 413)
  assert.match(over.body.overLimit.message, /exceeds allowed gigabytes quota/)
})

test('no host with room is an error with the funnel in a message', async () => {
  await call('POST', '/types', { token: admin, json: { volume_type: { name: 'odd', extra_specs: { vendor_name: 'nobody' } } } })
  const failed = await volume({ volume_type: 'odd' }, token, 'error')
  const { messages } = (await call('GET', '/messages', { headers: LATEST })).body
  const message = messages.find((entry: { resource_uuid: string }) => entry.resource_uuid === failed.id)
  assert.match(message.user_message, /CapabilitiesFilter 2 -> 0/)
  assert.equal((await call('DELETE', `/messages/${message.id}`, { headers: LATEST })).status, 204)
  await call('DELETE', `/volumes/${failed.id}`)
  await becomes(failed.id, 'gone')
})

test('a host that fails a volume says why; the volume can still be deleted', async () => {
  at.record.behaviour.report = (item) => (item.state === 'absent' ? 'gone' : 'failed')
  const failed = await volume({}, token, 'error')
  const { messages } = (await call('GET', '/messages', { headers: LATEST })).body
  assert.ok(messages.some((entry: { resource_uuid: string; user_message: string }) => entry.resource_uuid === failed.id && /the driver said no/.test(entry.user_message)))
  await call('DELETE', `/volumes/${failed.id}`)
  await becomes(failed.id, 'gone')
  clean()
})

test('growth, and growth that the host refuses', async () => {
  const grown = await volume()
  assert.equal((await action(grown.id, { 'os-extend': { new_size: 2 } })).status, 202)
  await until(async () => (await call('GET', `/volumes/${grown.id}`)).body.volume, (shown) => shown.size === 2 && shown.status === 'available', 'grown')
  for (const new_size of [1, 'abc', null]) assert.equal((await action(grown.id, { 'os-extend': { new_size } })).status, 400)
  assert.equal((await action('00000000-0000-4000-8000-000000000000', { 'os-extend': { new_size: 3 } })).status, 404)
  at.record.behaviour.report = (item) => (item.kind === 'volume' && item.state === 'present' && (item.spec as { size_gib: number }).size_gib === 5 ? 'failed' : 'ready')
  await action(grown.id, { 'os-extend': { new_size: 5 } })
  await becomes(grown.id, 'error_extending')
  assert.equal((await call('GET', `/volumes/${grown.id}`)).body.volume.size, 2)
  clean()
})

test('snapshots live with their volume, and volumes are made of them where they are', async () => {
  const origin = await volume({ size: 2 })
  const made = await call('POST', '/snapshots', { json: { snapshot: { volume_id: origin.id, name: 's', metadata: { k: 'v' } } } })
  assert.equal(made.status, 202)
  const id = made.body.snapshot.id
  await becomes(id, 'available', 'snapshots')
  assert.equal((await call('GET', `/snapshots/${id}`)).body.snapshot['os-extended-snapshot-attributes:progress'], '100%')
  assert.equal((await call('POST', '/volumes', { json: { volume: { size: 1, snapshot_id: id } } })).status, 400)
  const copy = await volume({ size: 3, snapshot_id: id })
  const hosts = at.record.items.filter((item) => item.id === copy.id || item.id === origin.id).map((item) => item.host_id)
  assert.equal(new Set(hosts).size, 1)
  const clone = await volume({ source_volid: origin.id, size: 2 })
  assert.equal(clone.source_volid, origin.id)
  assert.equal((await call('DELETE', `/volumes/${origin.id}`)).status, 400)
  assert.equal((await call('DELETE', `/volumes/${origin.id}?cascade=true`)).status, 202)
  await becomes(origin.id, 'gone')
  await becomes(id, 'gone', 'snapshots')
  assert.equal((await call('POST', '/snapshots', { json: { snapshot: { volume_id: null } } })).status, 404)
  clean()
})

test('listings filter, sort and page with a next link', async () => {
  const mine = await at.cloud.token({ project_id: 'project-list' })
  const ask = (path: string, options: object = {}) => call('GET', path, { token: mine, project: 'project-list', ...options })
  const ids: string[] = []
  for (const name of ['a', 'b', 'c']) ids.push((await call('POST', '/volumes', { token: mine, project: 'project-list', json: { volume: { size: 1, name, metadata: { Type: name } } } })).body.volume.id)
  await until(async () => (await ask('/volumes?status=available')).body.volumes.length, (count) => count === 3, 'three available')
  assert.deepEqual((await ask('/volumes/detail?sort=name:asc')).body.volumes.map((row: { name: string }) => row.name), ['a', 'b', 'c'])
  assert.equal((await ask('/volumes?name=b')).body.volumes.length, 1)
  assert.equal((await ask("/volumes?metadata=%7B'Type'%3A%20'c'%7D")).body.volumes[0].name, 'c')
  assert.equal((await ask('/volumes?bootable=true')).body.volumes.length, 0)
  const first = (await ask('/volumes?limit=2&sort_key=id&sort_dir=asc')).body
  assert.equal(first.volumes.length, 2)
  const next = new URL(first.volumes_links[0].href)
  const second = (await at.cloud.call('GET', `${next.pathname}${next.search}`, { token: mine })).body
  assert.deepEqual([...first.volumes, ...second.volumes].map((row) => row.id), [...ids].sort())
  assert.equal(second.volumes_links, undefined)
  assert.equal((await ask('/volumes?limit=x')).status, 400)
  assert.equal((await ask('/volumes?sort_key=nothing')).status, 400)
  assert.equal((await ask('/volumes?marker=none')).status, 404)
  const all = await call('GET', '/volumes/detail?all_tenants=1&name=b', { token: admin })
  assert.equal(all.body.volumes[0]['os-vol-tenant-attr:tenant_id'], 'project-list')
  assert.deepEqual((await ask('/volumes/summary', { headers: LATEST })).body['volume-summary'], { total_size: 3, total_count: 3, metadata: { Type: ['a', 'b', 'c'] } })
})

test('metadata, flags and image metadata', async () => {
  const row = await volume({ metadata: { a: '1' } })
  const path = `/volumes/${row.id}/metadata`
  assert.deepEqual((await call('POST', path, { json: { metadata: { b: '2' } } })).body.metadata, { a: '1', b: '2' })
  assert.deepEqual((await call('PUT', path, { json: { metadata: { c: '3' } } })).body.metadata, { c: '3' })
  assert.deepEqual((await call('PUT', `${path}/c`, { json: { meta: { c: '4' } } })).body, { meta: { c: '4' } })
  assert.equal((await call('DELETE', `${path}/c`)).status, 200)
  assert.equal((await call('GET', `${path}/c`)).status, 404)
  assert.equal((await action(row.id, { 'os-set_bootable': { bootable: true } })).status, 200)
  assert.equal((await action(row.id, { 'os-update_readonly_flag': { readonly: true } })).status, 202)
  assert.deepEqual((await action(row.id, { 'os-set_image_metadata': { metadata: { kernel_id: 'k' } } })).body, { metadata: { kernel_id: 'k' } })
  const shown = (await call('GET', `/volumes/${row.id}`)).body.volume
  assert.equal(shown.bootable, 'true')
  assert.equal(shown.metadata.readonly, 'True')
  assert.deepEqual(shown.volume_image_metadata, { kernel_id: 'k' })
  assert.equal((await action(row.id, { 'os-unset_image_metadata': { key: 'kernel_id' } })).status, 200)
})

test('attachments: one at a time, offered with credentials of their own, freed at the end', async () => {
  const row = await volume()
  const server = '11111111-2222-4333-8444-555555555555'
  const made = await call('POST', '/attachments', { headers: LATEST, json: { attachment: { volume_uuid: row.id, instance_uuid: server } } })
  assert.equal(made.status, 200, made.text)
  assert.equal(await status(row.id), 'reserved')
  assert.equal((await call('POST', '/attachments', { headers: LATEST, json: { attachment: { volume_uuid: row.id, instance_uuid: server } } })).status, 400)
  const id = made.body.attachment.id
  const connected = (await call('PUT', `/attachments/${id}`, { headers: LATEST, json: { attachment: { connector: { host: 'h', initiator: 'iqn.x' } } } })).body.attachment.connection_info
  assert.equal(connected.target_iqn, `iqn.2026-01.cloud.skyhook:volume-${row.id}`)
  assert.match(connected.target_portal, /^10\.0\.0\.\d+:3260$/)
  assert.ok(connected.auth_password.length >= 24)
  const exported = await until(async () => at.record.items.find((item) => item.kind === 'export' && item.id === id), (item) => item !== undefined, 'the export is promised')
  assert.equal((exported?.spec as { chap_secret: string } | undefined)?.chap_secret, connected.auth_password)
  assert.equal((await call('POST', `/attachments/${id}/action`, { headers: LATEST, json: { 'os-complete': null } })).status, 204)
  assert.equal(await status(row.id), 'in-use')
  assert.equal((await call('DELETE', `/volumes/${row.id}`)).status, 400)
  assert.equal((await call('DELETE', `/attachments/${id}`, { headers: LATEST })).status, 200)
  assert.equal(await status(row.id), 'available')
  await until(async () => at.record.items.some((item) => item.kind === 'export' && item.id === id && item.state === 'absent'), (gone) => gone, 'the export is withdrawn')
  clean()
})

test('the older actions: reserve, attach, detach, roll back', async () => {
  const row = await volume()
  assert.equal((await action(row.id, { 'os-reserve': {} })).status, 202)
  assert.equal(await status(row.id), 'attaching')
  assert.equal((await action(row.id, { 'os-reserve': {} })).status, 400)
  assert.equal((await action(row.id, { 'os-unreserve': {} })).status, 202)
  assert.equal((await action(row.id, { 'os-attach': { instance_uuid: '11111111-2222-4333-8444-555555555556', mountpoint: '/dev/vdc' } })).status, 202)
  assert.equal(await status(row.id), 'in-use')
  const [attachment] = (await call('GET', `/volumes/${row.id}`)).body.volume.attachments
  assert.equal(attachment.device, '/dev/vdc')
  assert.equal((await action(row.id, { 'os-begin_detaching': {} })).status, 202)
  assert.equal((await action(row.id, { 'os-roll_detaching': {} })).status, 202)
  assert.equal((await action(row.id, { 'os-detach': {} })).status, 202)
  assert.equal(await status(row.id), 'available')
  assert.equal((await action('xxx', { 'os-detach': {} })).status, 404)
  clean()
})

test('a volume is made of an image and remembers it; a volume becomes an image', async () => {
  const image = (await at.cloud.call('POST', '/image/v2/images', { token, json: { name: 'boot', disk_format: 'raw', container_format: 'bare', os_distro: 'debian' } })).body
  const tooEarly = await call('POST', '/volumes', { json: { volume: { size: 1, imageRef: image.id } } })
  assert.equal(tooEarly.status, 400)
  await at.cloud.call('PUT', `/image/v2/images/${image.id}/file`, { token, body: randomBytes(4096) as never, headers: { 'content-type': 'application/octet-stream' } })
  const row = await volume({ imageRef: image.id })
  assert.equal(row.bootable, 'true')
  assert.equal(row.volume_image_metadata.os_distro, 'debian')
  assert.equal(row.volume_image_metadata.image_id, image.id)
  const item = at.record.items.find((entry) => entry.id === row.id)
  assert.equal((item?.spec as { source: { image: { sha512: string } } } | undefined)?.source.image.sha512.length, 128)
  at.record.behaviour.command = async (_host, name, args) => {
    assert.equal(name, 'volume.upload')
    assert.match(String(args.transfer_path), /^\/agents\/v1\/transfers\//)
    return { size_bytes: 1, sha512: 'x', md5: 'y' }
  }
  const uploaded = await action(row.id, { 'os-volume_upload_image': { image_name: 'copy', disk_format: 'raw' } })
  assert.equal(uploaded.status, 202, uploaded.text)
  await becomes(row.id, 'available')
  const transfer = at.record.transfers.at(-1)?.transfer
  assert.equal(transfer?.image_id, uploaded.body['os-volume_upload_image'].image_id)
  at.record.behaviour.command = async () => {
    throw Object.assign(new Error('disk is broken'), { name: 'Fault', kind: 'unprocessable' })
  }
  const failing = await action(row.id, { 'os-volume_upload_image': { image_name: 'copy2' } })
  await becomes(row.id, 'available')
  const left = failing.body['os-volume_upload_image'].image_id
  await until(async () => (await at.cloud.call('GET', `/image/v2/images/${left}`, { token })).status, (code) => code === 404, 'the image of a failed copy is gone')
  clean()
})

test('backups are written by the host, restored into old and new volumes, and exported as records', async () => {
  const row = await volume({ metadata: { kept: 'yes' } })
  at.record.behaviour.command = async (_host, name) => (name === 'volume.upload' ? { size_bytes: 1024 ** 3, sha512: 'aa', md5: 'bb' } : { size_bytes: 1024 ** 3 })
  const made = await call('POST', '/backups', { json: { backup: { volume_id: row.id, name: 'b', container: 'boxes' } } })
  assert.equal(made.status, 202, made.text)
  const id = made.body.backup.id
  await becomes(id, 'available', 'backups')
  await becomes(row.id, 'available')
  const transfer = at.record.transfers.at(-1)?.transfer
  assert.equal(transfer?.account, 'AUTH_project-a')
  assert.equal(transfer?.container, 'boxes')
  const intoNew = await call('POST', `/backups/${id}/restore`, { json: { restore: {} } })
  assert.equal(intoNew.status, 202)
  const restored = await until(async () => (await call('GET', `/volumes/${intoNew.body.restore.volume_id}`)).body.volume, (shown) => shown.status === 'available', 'restored')
  assert.equal(restored.metadata.kept, 'yes')
  await becomes(id, 'available', 'backups')
  assert.equal((await call('POST', `/backups/${id}/restore`, { json: { restore: { volume_id: row.id } } })).body.restore.volume_id, row.id)
  await becomes(row.id, 'available')
  assert.equal((await call('GET', `/backups/${id}/export_record`)).status, 403)
  const record = await call('GET', `/backups/${id}/export_record`, { token: admin })
  assert.equal(record.status, 200)
  assert.equal((await call('PUT', `/backups/${id}`, { headers: LATEST, json: { backup: { name: 'c' } } })).body.backup.name, 'c')
  at.record.behaviour.command = async () => {
    throw Object.assign(new Error('no space'), { name: 'Fault', kind: 'insufficient_storage' })
  }
  const failing = (await call('POST', '/backups', { json: { backup: { volume_id: row.id } } })).body.backup.id
  await becomes(failing, 'error', 'backups')
  assert.match((await call('GET', `/backups/${failing}`)).body.backup.fail_reason, /no space/)
  await becomes(row.id, 'available')
  clean()
})

test('a transfer moves the volume, its snapshots and its quota to the other project', async () => {
  const row = await volume({ name: 'gift' })
  const snapshot = (await call('POST', '/snapshots', { json: { snapshot: { volume_id: row.id } } })).body.snapshot.id
  await becomes(snapshot, 'available', 'snapshots')
  const made = await call('POST', '/os-volume-transfer', { json: { transfer: { volume_id: row.id, name: 't' } } })
  assert.equal(made.status, 202)
  assert.equal(await status(row.id), 'awaiting-transfer')
  const { id, auth_key } = made.body.transfer
  assert.equal((await call('GET', `/os-volume-transfer/${id}`)).body.transfer.auth_key, undefined)
  assert.equal((await call('POST', `/os-volume-transfer/${id}/accept`, { token: other, json: { accept: { auth_key: 'wrong' } } })).status, 400)
  const taken = await call('POST', `/os-volume-transfer/${id}/accept`, { token: other, json: { accept: { auth_key } } })
  assert.equal(taken.status, 202, taken.text)
  const theirs = await call('GET', `/volumes/${row.id}`, { token: other })
  assert.equal(theirs.body.volume.status, 'available')
  await becomes(row.id, 'gone')
  assert.equal((await call('GET', `/snapshots/${snapshot}`, { token: other })).status, 200)
  const seen = await until(async () => await call('GET', `/volumes/${row.id}`, { token: admin }), (answer) => answer.status === 200, 'the admin finds it')
  assert.equal(seen.body.volume['os-vol-tenant-attr:tenant_id'], 'project-b')
  await until(async () => at.record.items.some((item) => item.id === row.id && item.project_id === 'project-b'), (told) => told, 'the host knows the new owner')
  assert.equal((await call('DELETE', `/volumes/${row.id}?cascade=true`, { token: other })).status, 202)
  await until(async () => (await call('GET', `/volumes/${row.id}`, { token: other })).status, (code) => code === 404, 'deleted by the new owner')
  const back = (await call('POST', '/volume-transfers', { headers: LATEST, json: { transfer: { volume_id: (await volume()).id } } })).body.transfer
  assert.equal(back.accepted, false)
  assert.equal((await call('DELETE', `/volume-transfers/${back.id}`, { headers: LATEST })).status, 202)
  assert.equal(await status(back.volume_id), 'available')
  clean()
})

test('types: extra specs, access, QoS, encryption, retype', async () => {
  const type = (await call('POST', '/types', { token: admin, json: { volume_type: { name: 'gold', 'os-volume-type-access:is_public': false } } })).body.volume_type
  assert.equal((await call('POST', '/types', { json: { volume_type: { name: 'x' } } })).status, 403)
  assert.equal((await call('POST', '/types', { token: admin, json: { volume_type: { name: 'gold' } } })).status, 409)
  assert.equal((await call('GET', `/types/${type.id}`)).status, 404)
  assert.equal((await call('POST', '/volumes', { json: { volume: { size: 1, volume_type: type.id } } })).status, 404)
  assert.equal((await call('POST', `/types/${type.id}/action`, { token: admin, json: { addProjectAccess: { project: 'project-a' } } })).status, 202)
  const row = await volume({ volume_type: type.id })
  assert.equal(row.volume_type, 'gold')
  assert.equal((await call('DELETE', `/types/${type.id}`, { token: admin })).status, 400)
  assert.deepEqual((await call('POST', `/types/${type.id}/extra_specs`, { token: admin, json: { extra_specs: { k: 'v' } } })).body, { extra_specs: { k: 'v' } })
  assert.equal((await call('PUT', `/types/${type.id}/extra_specs/other`, { token: admin, json: { k: 'v' } })).status, 400)
  const qos = (await call('POST', '/qos-specs', { token: admin, json: { qos_specs: { name: 'q', consumer: 'front-end', read_iops_sec: '2000' } } })).body.qos_specs
  assert.equal((await call('GET', `/qos-specs/${qos.id}/associate?vol_type_id=${type.id}`, { token: admin })).status, 202)
  assert.equal((await call('GET', `/qos-specs/${qos.id}/associations`, { token: admin })).body.qos_associations[0].id, type.id)
  assert.equal((await action(row.id, { 'os-retype': { new_type: '__DEFAULT__' } })).status, 202)
  assert.equal((await call('GET', `/volumes/${row.id}`)).body.volume.volume_type, '__DEFAULT__')
})

test('quotas, limits, services, pools, zones', async () => {
  const usage = (await call('GET', '/os-quota-sets/project-a?usage=true')).body.quota_set
  assert.ok(usage.volumes.in_use > 0)
  assert.equal((await call('GET', '/os-quota-sets/project-b')).status, 403)
  assert.equal((await call('PUT', '/os-quota-sets/project-a', { token: admin, json: { quota_set: { nonsense: 1 } } })).status, 400)
  assert.equal((await call('GET', '/limits')).body.limits.absolute.totalVolumesUsed, usage.volumes.in_use)
  const { services } = (await call('GET', '/os-services', { token: admin })).body
  assert.ok(services.some((service: { binary: string; state: string }) => service.binary === 'cinder-volume' && service.state === 'up'))
  assert.equal((await call('GET', '/os-services')).status, 403)
  assert.equal((await call('GET', '/scheduler-stats/get_pools?detail=true', { token: admin })).body.pools[0].capabilities.vendor_name, 'Skyhook')
  assert.equal((await call('GET', '/os-availability-zone')).body.availabilityZoneInfo[0].zoneName, 'nova')
  assert.equal((await call('PUT', '/os-services/disable', { token: admin, json: { host: 'alpha@fake', binary: 'cinder-volume' } })).status, 200)
  const placed = [await volume(), await volume()]
  for (const row of placed) assert.match((await call('GET', `/volumes/${row.id}`, { token: admin })).body.volume['os-vol-host-attr:host'], /^beta@/)
  await call('PUT', '/os-services/enable', { token: admin, json: { host: 'alpha@fake', binary: 'cinder-volume' } })
})

test('the same Idempotency-Key makes one volume', async () => {
  const send = () => call('POST', '/volumes', { json: { volume: { size: 1, name: 'once' } }, headers: { 'idempotency-key': 'vol-1' } })
  const [one, two] = [await send(), await send()]
  assert.equal(one.body.volume.id, two.body.volume.id)
})

test('groups: volumes on one host, snapshots together, a group from either, gone with its volumes', async () => {
  const latest = { headers: LATEST }
  const type = (await call('POST', '/group_types', { token: admin, ...latest, json: { group_type: { name: 'together' } } })).body.group_type
  assert.equal((await call('POST', '/group_types', { ...latest, json: { group_type: { name: 'mine' } } })).status, 403)
  const group = (await call('POST', '/groups', { ...latest, json: { group: { name: 'g', group_type: type.id, volume_types: ['__DEFAULT__'] } } })).body.group
  const ids: string[] = []
  for (let i = 0; i < 3; i++) {
    const { id } = (await call('POST', '/volumes', { ...latest, json: { volume: { size: 1, group_id: group.id } } })).body.volume
    await becomes(id, 'available')
    ids.push(id)
  }
  assert.equal(new Set(at.record.items.filter((item) => ids.includes(item.id)).map((item) => item.host_id)).size, 1)
  assert.equal((await call('DELETE', `/volumes/${ids[0]}`)).status, 400)
  const snapshot = (await call('POST', '/group_snapshots', { ...latest, json: { group_snapshot: { group_id: group.id, name: 'gs' } } })).body.group_snapshot
  const shown = async (kind: string, id: string) => (await call('GET', `/${kind}/${id}`, latest)).body[kind.slice(0, -1)]?.status ?? 'gone'
  await until(() => shown('group_snapshots', snapshot.id), (now) => now === 'available', 'group snapshot available')
  const copy = (await call('POST', '/groups/action', { ...latest, json: { 'create-from-src': { name: 'copy', group_snapshot_id: snapshot.id } } })).body.group
  await until(() => shown('groups', copy.id), (now) => now === 'available', 'copy available')
  assert.equal((await call('GET', `/groups/${copy.id}?list_volume=true`, latest)).body.group.volumes.length, 3)
  assert.equal((await call('POST', `/groups/${copy.id}/action`, { ...latest, json: { delete: { 'delete-volumes': false } } })).status, 400)
  assert.equal((await call('POST', `/groups/${copy.id}/action`, { ...latest, json: { delete: { 'delete-volumes': true } } })).status, 202)
  await until(() => shown('groups', copy.id), (now) => now === 'gone', 'copy gone')
  assert.equal((await call('DELETE', `/group_snapshots/${snapshot.id}`, latest)).status, 202)
  await until(() => shown('group_snapshots', snapshot.id), (now) => now === 'gone', 'group snapshot gone')
  assert.equal((await call('PUT', `/groups/${group.id}`, { ...latest, json: { group: { remove_volumes: ids[0] } } })).status, 202)
  assert.equal((await call('DELETE', `/volumes/${ids[0]}`)).status, 202)
  assert.equal((await call('GET', `/groups/${group.id}`, { ...latest, token: other })).status, 404)
  clean()
})
