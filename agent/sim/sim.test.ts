import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { afterEach, test } from 'node:test'
import { systemClock } from '../../schema/values/time.ts'
import { createIdentity } from '../identity.ts'
import { createSimDisk, SimHost, type SimHostOptions } from './index.ts'
import { MiniPlane } from './mini-plane.ts'
import { absent, imageDisk, networkItem, portItem, serverItem, volumeDisk, volumeItem } from './samples.ts'

const identity = createIdentity('h', generateKeyPairSync('ed25519').privateKey, systemClock)
const started: SimHost[] = []

function host(plane: MiniPlane, options: Partial<SimHostOptions> = {}): SimHost {
  const made = new SimHost({ name: 'sim-1', identity, transport: plane.transport, http: plane.http, ...options })
  started.push(made)
  return made
}

afterEach(async () => {
  for (const one of started.splice(0)) await one.stop()
})

const whole = (plane: MiniPlane, power: 'on' | 'off' = 'on', generation = 1) => {
  const image = plane.image('img', new Uint8Array(2048).fill(7))
  return [networkItem('n1'), portItem('port1', 'n1', 's1'), volumeItem('v1'), serverItem('s1', generation, { power, disks: [imageDisk(image), volumeDisk('v1')], nics: [{ port_id: 'port1', mac_address: 'fa:16:3e:00:00:01', mtu: 1450 }] })]
}

test('a server with its network, port and volume comes up in one message, and the console ends in a login prompt', async () => {
  const plane = new MiniPlane()
  const sim = host(plane)
  await sim.start()
  plane.want(...whole(plane).reverse())
  await plane.until(() => plane.status('server', 's1') === 'ready@1')
  assert.equal(plane.observed.get('server/s1')?.power, 'running')
  assert.deepEqual(plane.observed.get('server/s1')?.disks, [{ id: 'root', serial: 'root' }, { id: 'v1', serial: 'v1' }])
  assert.equal(plane.status('volume', 'v1'), 'ready@1')
  plane.command('c1', 'server.console_log', { server_id: 's1', length: 10 })
  await plane.until(() => plane.results.has('c1'))
  const result = plane.results.get('c1')
  assert.ok(result?.ok)
  const { output } = result.value as { output: string }
  assert.equal(output.split('\n').length, 10)
  assert.match(output, /s1 login: $/)
})

test('absent items go in reverse order, are reported gone, and are forgotten once that is acknowledged', async () => {
  const plane = new MiniPlane()
  const sim = host(plane)
  await sim.start()
  const items = whole(plane)
  plane.want(...items)
  await plane.until(() => plane.status('server', 's1') === 'ready@1')
  plane.want(...items.map((item) => absent(item)))
  await plane.until(() => items.every((item) => plane.status(item.kind, item.id) === 'gone@2'))
  const removals = sim.faults.calls.filter((call) => call.step.startsWith('remove')).map((call) => call.step)
  assert.equal(removals[0], 'remove')
  assert.equal(removals.at(-1), 'removeNetwork')
  assert.equal(sim.disk.hypervisor.size, 0)
  await plane.until(() => JSON.parse(sim.disk.documents.get('desired') ?? '{}').items['server/s1'] === undefined)
})

test('one bad item does not hold up another, is retried, and is reported failed in the end', async () => {
  const plane = new MiniPlane()
  const sim = host(plane)
  sim.faults.fail('ensureVolume', { id: 'bad', times: 1000, error: new Error('no such pool') })
  await sim.start()
  plane.want(volumeItem('bad'), volumeItem('good'))
  await plane.until(() => plane.status('volume', 'good') === 'ready@1')
  await plane.until(() => plane.status('volume', 'bad') === 'failed@1', 15_000)
  assert.match(plane.observed.get('volume/bad')?.error ?? '', /no such pool/)
  sim.faults.clear()
  await plane.until(() => plane.status('volume', 'bad') === 'ready@1', 15_000)
})

test('an agent that crashed between a deed and its report finds the deed done', async () => {
  const plane = new MiniPlane()
  const disk = createSimDisk()
  const sim = host(plane, { disk })
  await sim.start()
  sim.faults.fail('ensure', { when: 'after', times: 1 })
  plane.want(serverItem('s1'))
  await plane.until(() => disk.hypervisor.has('s1'))
  sim.crash()
  const before = disk.hypervisor.get('s1')?.started_ms
  plane.cut()
  const again = host(plane, { disk })
  await again.start()
  await plane.until(() => plane.status('server', 's1') === 'ready@1')
  assert.equal(disk.hypervisor.get('s1')?.started_ms, before)
})

test('without the plane a host converges from its disk, also after a power failure', async () => {
  const plane = new MiniPlane()
  const disk = createSimDisk()
  const sim = host(plane, { disk })
  await sim.start()
  plane.want(...whole(plane))
  await plane.until(() => plane.status('server', 's1') === 'ready@1')
  plane.open = false
  plane.cut()
  sim.powerFailure()
  assert.equal(disk.hypervisor.get('s1')?.state.power, 'shutdown')
  await sim.start()
  for (let i = 0; i < 100 && disk.hypervisor.get('s1')?.state.power !== 'running'; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(disk.hypervisor.get('s1')?.state.power, 'running')
  assert.ok(disk.network.ports.has('port1'))
})

test('a guest that shut itself down stays off, over a restart of the agent too, until a newer wish', async () => {
  const plane = new MiniPlane()
  const disk = createSimDisk()
  const sim = host(plane, { disk })
  await sim.start()
  plane.want(serverItem('s1'))
  await plane.until(() => plane.status('server', 's1') === 'ready@1')
  sim.hypervisor?.guestShutdown('s1')
  await plane.until(() => plane.observed.get('server/s1')?.power === 'shutdown')
  await sim.stop()
  plane.cut()
  await sim.start()
  plane.observed.clear()
  await plane.until(() => plane.status('server', 's1') === 'ready@1')
  assert.equal(plane.observed.get('server/s1')?.power, 'shutdown')
  plane.want(serverItem('s1', 2))
  await plane.until(() => plane.observed.get('server/s1')?.power === 'running')
})

test('a crashed machine is started again', async () => {
  const plane = new MiniPlane()
  const sim = host(plane)
  await sim.start()
  plane.want(serverItem('s1'))
  await plane.until(() => plane.status('server', 's1') === 'ready@1')
  const boots = () => sim.disk.hypervisor.get('s1')?.console.split('login:').length
  const before = boots()
  sim.hypervisor?.crash('s1')
  await plane.until(() => boots() !== before && plane.observed.get('server/s1')?.power === 'running')
  // A crash is not for the plane to take as the guest's own wish to be off.
  const reports = plane.messages.flatMap((message) => (message.type === 'observed' ? message.items : []))
  assert.ok(!reports.some((report) => report.status === 'ready' && report.power === 'crashed'))
})

test('a cut link changes nothing on the host; changes made meanwhile arrive after it', async () => {
  const plane = new MiniPlane()
  const sim = host(plane)
  await sim.start()
  plane.want(serverItem('s1'))
  await plane.until(() => plane.status('server', 's1') === 'ready@1')
  plane.cut()
  plane.want(serverItem('s2'))
  assert.equal(sim.disk.hypervisor.get('s1')?.state.power, 'running')
  await plane.until(() => plane.status('server', 's2') === 'ready@1')
  const hello = plane.messages.filter((message) => message.type === 'hello')
  assert.equal(hello.length, 2)
  assert.equal(hello[1]?.desired_version, 1)
})

test('what nobody asked for is an orphan: reported and left alone', async () => {
  const plane = new MiniPlane()
  const disk = createSimDisk()
  disk.volume.volumes.set('lost', { size_bytes: 1024 ** 3, content: new Uint8Array(0) })
  const sim = host(plane, { disk })
  await sim.start()
  plane.want(volumeItem('v1'))
  await plane.until(() => plane.observed.get('volume/lost')?.orphan === true && plane.status('volume', 'v1') === 'ready@1')
  assert.ok(disk.volume.volumes.has('lost'))
})

test('reports are sent again until they are acknowledged', async () => {
  const plane = new MiniPlane()
  plane.acknowledge = false
  const sim = host(plane)
  await sim.start()
  plane.want(volumeItem('v1'))
  await plane.until(() => plane.status('volume', 'v1') === 'ready@1')
  plane.observed.clear()
  plane.acknowledge = true
  plane.cut()
  await plane.until(() => plane.status('volume', 'v1') === 'ready@1')
})

test('a snapshot is uploaded with its hashes; concurrent machines share one image download', async () => {
  const plane = new MiniPlane()
  const sim = host(plane)
  await sim.start()
  const image = plane.image('img', new Uint8Array(4096).fill(1))
  plane.want(...['a', 'b', 'c'].map((id) => serverItem(id, 1, { disks: [imageDisk(image)] })))
  await plane.until(() => ['a', 'b', 'c'].every((id) => plane.status('server', id) === 'ready@1'))
  assert.equal(plane.downloadCount, 1)
  plane.command('snap', 'server.snapshot', { server_id: 'a', transfer_path: '/agents/v1/transfers/t1' })
  await plane.until(() => plane.results.has('snap'))
  const result = plane.results.get('snap')
  assert.ok(result?.ok)
  const bytes = plane.uploads.get('/agents/v1/transfers/t1')
  assert.equal((result.value as { size_bytes: number }).size_bytes, bytes?.byteLength)
  assert.equal(Buffer.from(bytes?.subarray(0, 4) ?? []).toString('latin1'), 'QFI\xfb')
})

test('an image whose bytes are not the promised ones never becomes a disk', async () => {
  const plane = new MiniPlane()
  const sim = host(plane)
  await sim.start()
  const image = plane.image('img', new Uint8Array(4096).fill(1))
  plane.downloads.set('/agents/v1/images/img/file?owner=p1', new Uint8Array(4096).fill(2))
  plane.want(serverItem('a', 1, { disks: [imageDisk(image)] }))
  await plane.until(() => plane.observed.get('server/a')?.error !== undefined)
  assert.match(plane.observed.get('server/a')?.error ?? '', /SHA-512/)
  assert.equal(sim.disk.hypervisor.size, 0)
})

test('a command runs once however often it is sent, and not at all after its deadline', async () => {
  const plane = new MiniPlane()
  const sim = host(plane)
  await sim.start()
  plane.want(serverItem('s1'))
  await plane.until(() => plane.status('server', 's1') === 'ready@1')
  for (let i = 0; i < 3; i++) plane.command('r1', 'server.reboot', { server_id: 's1', hard: true })
  plane.command('r2', 'server.reboot', { server_id: 's1', hard: true }, Date.now() - 1)
  await plane.until(() => plane.results.has('r1') && plane.results.has('r2'))
  assert.equal(plane.results.get('r1')?.ok, true)
  assert.equal(plane.results.get('r2')?.ok, false)
  assert.equal(sim.faults.calls.filter((call) => call.step === 'reboot').length, 1)
  plane.say({ type: 'echo', nonce: 'n1' })
  await plane.until(() => plane.messages.some((message) => message.type === 'echo_reply' && message.nonce === 'n1'))
})
