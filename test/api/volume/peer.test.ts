/** What compute asks of volumes inside its own transaction: reserve, connect (here or over iSCSI), move, detach; and that tenants cannot pull a server's disk. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf, type VolumesPeer } from '../../../durable-objects/project/peers.ts'
import type { ObservedItem } from '../../../schema/agent/observed.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import { recordingCloud, until } from './recording-host.ts'

type Cloud = Awaited<ReturnType<typeof recordingCloud>>
let at: Cloud
let deps: Deps
let volumes: VolumesPeer
let token: string
const caller = systemCaller('peer-test')
const tx = <T>(work: (tx: Tx) => T): T => deps.commit(caller, work)

before(async () => {
  at = await recordingCloud()
  token = await at.cloud.token()
  deps = (at.cloud.cluster.instance('PROJECT', 'project-a') as { deps: Deps }).deps
  volumes = peersOf(deps).volumes
})
after(() => at.cloud.close())

const call = (method: string, path: string, json?: unknown) => at.cloud.call(method, `/volume/v3/project-a${path}`, { token, json, headers: { 'openstack-api-version': 'volume 3.71' } })
const status = (id: string) => volumes.get(id)?.status
async function made(): Promise<{ id: string; here: string; there: string }> {
  const { id } = (await call('POST', '/volumes', { volume: { size: 1 } })).body.volume
  await until(async () => status(id), (now) => now === 'available', 'available')
  const here = volumes.get(id)?.host_id ?? ''
  return { id, here, there: Object.values(at.hosts).find((host) => host !== here) ?? '' }
}
const exports = (id: string) => at.record.items.filter((item) => item.kind === 'export' && item.id === id)

test('on its own host a volume is attached directly, with its id as serial', async () => {
  const { id, here } = await made()
  const { attachment_id } = tx((t) => volumes.reserve(t, caller, id, 'server-1', '/dev/vdb'))
  assert.equal(status(id), 'reserved')
  const disk = tx((t) => volumes.connect(t, caller, attachment_id, here))
  assert.deepEqual(disk, { id, serial: id, boot: false, source: { type: 'volume', size_gib: 1, connection: { type: 'local', volume_id: id } } })
  assert.equal(status(id), 'attaching')
  tx((t) => volumes.complete(t, caller, attachment_id))
  assert.equal(status(id), 'in-use')
  assert.deepEqual(volumes.attachmentsOf('server-1').map((row) => row.volume_id), [id])
  assert.throws(() => tx((t) => volumes.reserve(t, caller, id, 'server-2', null)))
  tx((t) => volumes.beginDetach(t, caller, attachment_id))
  assert.equal(status(id), 'detaching')
  tx((t) => volumes.detach(t, caller, attachment_id))
  tx((t) => volumes.detach(t, caller, attachment_id))
  assert.equal(status(id), 'available')
  assert.equal(exports(attachment_id).length, 0)
})

test('from another host it is offered with CHAP; a server that moves keeps it, and an unneeded offer is withdrawn', async () => {
  const { id, here, there } = await made()
  const { attachment_id } = tx((t) => volumes.reserve(t, caller, id, 'server-3', null))
  const first = tx((t) => volumes.connect(t, caller, attachment_id, there))
  const again = tx((t) => volumes.connect(t, caller, attachment_id, there))
  assert.deepEqual(again, first)
  const { connection } = first.source as { connection: { type: string; iqn: string; chap_secret: string } }
  assert.equal(connection.type, 'iscsi')
  assert.equal(connection.iqn, `iqn.2026-01.cloud.skyhook:volume-${id}`)
  const [offered] = await until(async () => exports(attachment_id), (items) => items.length > 0, 'the export is promised')
  assert.equal(offered?.host_id, here)
  tx((t) => volumes.complete(t, caller, attachment_id))
  const moved = tx((t) => volumes.connect(t, caller, attachment_id, here))
  assert.equal((moved.source as { connection: { type: string } }).connection.type, 'local')
  assert.equal(status(id), 'in-use')
  await until(async () => exports(attachment_id).at(-1)?.state, (state) => state === 'absent', 'the export is withdrawn')
  const back = tx((t) => volumes.connect(t, caller, attachment_id, there))
  assert.equal((back.source as { connection: { type: string } }).connection.type, 'iscsi')
  await until(async () => exports(attachment_id).at(-1)?.state, (state) => state === 'present', 'offered anew')
  assert.equal(status(id), 'in-use')
  tx((t) => volumes.detach(t, caller, attachment_id))
  await until(async () => exports(attachment_id).at(-1)?.state, (state) => state === 'absent', 'withdrawn at the end')
  const generations = exports(attachment_id).map((item) => item.generation)
  assert.deepEqual(generations, [...new Set(generations)].sort((a, b) => a - b), 'each change is newer than the one before')
})

test('a volume made for a server becomes available by itself; deleting one that is not there yet is no error', async () => {
  const id = deps.newId()
  const request = { id, size_gib: 1, source: { type: 'blank' as const }, name: 'bdm', availability_zone: 'nova' }
  tx((t) => volumes.create(t, caller, request))
  tx((t) => volumes.create(t, caller, request))
  await until(async () => status(id), (now) => now === 'available', 'available')
  at.record.behaviour.report = (item): ObservedItem['status'] | null => (item.state === 'absent' ? 'gone' : null)
  const other = deps.newId()
  tx((t) => volumes.create(t, caller, { ...request, id: other }))
  tx((t) => volumes.delete(t, caller, other))
  assert.equal(volumes.get(other) === null || status(other) === 'deleting', true)
  await until(async () => volumes.get(other), (row) => row === null, 'gone')
  assert.deepEqual(at.cloud.cluster.instance('PROJECT', 'project-a').verify().filter(({ resource }: { resource: string }) => resource.startsWith('volume')), [])
})
