/** What every hypervisor driver must do, the fake like the real one. Run with node:test by the drivers' own tests; a harness says how to make trouble. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { DiskSpec, ServerSpec } from '../../../schema/agent/desired.ts'
import { isFault } from '../../../schema/values/fault.ts'
import type { ConsoleChannel, DiskBacking, HypervisorDriver, Machine, MachineState } from './driver.ts'

export interface HypervisorHarness {
  /** A driver on the same host; each call is an agent that started anew. The one before is let go first. */
  driver(): HypervisorDriver
  /** The image that roots are made from. */
  image: { backing: DiskBacking; disk: DiskSpec }
  /** Makes a local volume of one GiB. */
  volume(id: string): Promise<DiskBacking>
  /** When the guest is up: its console shows a prompt. */
  booted(id: string): Promise<void>
  /** The guest powers itself off. */
  guestShutdown(id: string): Promise<void>
  /** The machine's process dies. */
  kill(id: string): Promise<void>
  /** A file for a snapshot, and whether there is a qcow2 in it afterwards. */
  snapshotPath(): string
  isQcow2(path: string): Promise<boolean>
  end(): Promise<void>
}

export const SERVER_ID = '11111111-1111-4111-8111-111111111111'
export const VOLUME_ID = '22222222-2222-4222-8222-222222222222'
const UNKNOWN_ID = '99999999-9999-4999-8999-999999999999'

export function serverSpec(root: DiskSpec, change: Partial<ServerSpec> = {}): ServerSpec {
  const metadata = {
    uuid: SERVER_ID, name: 'vm', hostname: 'vm', project_id: 'p', availability_zone: 'nova', launch_index: 0, instance_type: 'm1.tiny', meta: {}, public_keys: {}, keys: [], user_data_base64: null, admin_pass: null, network_data: { links: [], networks: [], services: [] },
  }
  return { name: 'vm', vcpus: 1, ram_mib: 128, power: 'on', incarnation: 1, root_generation: 1, disks: [root], nics: [], config_drive: true, metadata, properties: {}, ...change }
}

export const volumeDisk = (id: string): DiskSpec => ({ id, serial: id, boot: false, source: { type: 'volume', size_gib: 1, connection: { type: 'local', volume_id: id } } })

/** What a console says until `enough`, or to its end. */
export async function readUntil(channel: ConsoleChannel, enough: (bytes: Uint8Array) => boolean): Promise<string> {
  let all = Buffer.alloc(0)
  const late = setTimeout(() => channel.close(), 60_000)
  for await (const chunk of channel.output) {
    all = Buffer.concat([all, chunk])
    if (enough(all)) break
  }
  clearTimeout(late)
  return all.toString('latin1')
}

export async function waitUntil(what: string, test: () => Promise<boolean>, timeout_ms = 180_000): Promise<void> {
  for (let waited = 0; waited < timeout_ms; waited += 100) {
    if (await test()) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${what}: not in ${timeout_ms} ms`)
}

export function hypervisorConformance(name: string, make: () => Promise<HypervisorHarness>, options: { skip?: string | false } = {}): void {
  describe(`hypervisor conformance: ${name}`, { skip: options.skip ?? false }, () => {
    let harness: HypervisorHarness
    let driver: HypervisorDriver
    let generation = 0
    let backing: Record<string, DiskBacking> = {}
    before(async () => {
      harness = await make()
      driver = harness.driver()
      backing = { root: harness.image.backing }
    })
    after(async () => harness?.end())

    const machine = (change: Partial<ServerSpec> = {}): Machine => ({ id: SERVER_ID, generation: ++generation, spec: serverSpec(harness.image.disk, change), backing })
    const found = async (): Promise<MachineState | undefined> => (await driver.list()).find((state) => state.id === SERVER_ID)

    it('makes a machine that boots to a login prompt', async () => {
      const state = await driver.ensure(machine())
      assert.equal(state.power, 'running')
      assert.deepEqual(state.disks, [{ id: 'root', serial: 'root' }])
      await harness.booted(SERVER_ID)
      const log = await driver.consoleLog(SERVER_ID, null)
      assert.match(log, /login:/)
      assert.equal((await driver.consoleLog(SERVER_ID, 3)).split('\n').length, 3)
    })

    it('does nothing where it is so already, and a new driver finds the machine', async () => {
      const before = await driver.diagnostics(SERVER_ID)
      driver = harness.driver()
      const state = await driver.ensure({ ...machine(), generation })
      assert.equal(state.power, 'running')
      assert.equal((await driver.list()).length, 1)
      const now = await driver.diagnostics(SERVER_ID)
      assert.equal(now.state, 'running')
      assert.ok(now.uptime_s >= before.uptime_s)
    })

    it('shows its screen by RFB, and lets the newest viewer have the serial line', async () => {
      const screen = await driver.openConsole(SERVER_ID, 'vnc')
      assert.equal(await readUntil(screen, (bytes) => bytes.byteLength >= 12), 'RFB 003.008\n')
      screen.close()
      const first = await driver.openConsole(SERVER_ID, 'serial')
      const second = await driver.openConsole(SERVER_ID, 'serial')
      await readUntil(first, () => false)
      await second.write(new TextEncoder().encode('\r'))
      assert.match(await readUntil(second, (bytes) => /login: $/.test(Buffer.from(bytes).toString('latin1'))), /login: $/)
      second.close()
    })

    it('plugs and unplugs a volume while the machine runs', async () => {
      const volume = await harness.volume(VOLUME_ID)
      backing = { ...backing, [VOLUME_ID]: volume }
      const plugged = await driver.ensure(machine({ disks: [harness.image.disk, volumeDisk(VOLUME_ID)] }))
      assert.deepEqual(plugged.disks, [{ id: 'root', serial: 'root' }, { id: VOLUME_ID, serial: VOLUME_ID }])
      const again = await driver.ensure(machine({ disks: [harness.image.disk, volumeDisk(VOLUME_ID)] }))
      assert.equal(again.disks.length, 2)
      const unplugged = await driver.ensure(machine())
      assert.deepEqual(unplugged.disks, [{ id: 'root', serial: 'root' }])
    })

    it('pauses and goes on', async () => {
      assert.equal((await driver.ensure(machine({ power: 'paused' }))).power, 'paused')
      assert.equal((await driver.ensure(machine())).power, 'running')
    })

    it('suspends, is found suspended, and resumes', async () => {
      assert.equal((await driver.ensure(machine({ power: 'suspended' }))).power, 'suspended')
      driver = harness.driver()
      assert.equal((await found())?.power, 'suspended')
      assert.equal((await driver.ensure(machine())).power, 'running')
    })

    it('copies the root disk of a running machine', async () => {
      const path = harness.snapshotPath()
      await driver.snapshotRoot(SERVER_ID, path)
      assert.ok(await harness.isQcow2(path))
    })

    it('leaves a guest that powered itself off until a newer wish', async () => {
      const changed = new Promise<string>((resolve) => driver.onChange(resolve))
      await harness.guestShutdown(SERVER_ID)
      assert.equal(await changed, SERVER_ID)
      const down = await found()
      assert.equal(down?.power, 'shutdown')
      assert.equal(down?.guest_shutdown, true)
      const same: Machine = { ...machine(), generation: generation - 1 }
      generation--
      assert.equal((await driver.ensure(same)).power, 'shutdown')
      const state = await driver.ensure(machine())
      assert.equal(state.power, 'running')
      assert.equal(state.guest_shutdown, false)
    })

    it('notices a crash, and starts the machine again when asked', async () => {
      driver = harness.driver()
      await driver.list()
      const changed = new Promise<string>((resolve) => driver.onChange(resolve))
      await harness.kill(SERVER_ID)
      assert.equal(await changed, SERVER_ID)
      assert.equal((await found())?.power, 'crashed')
      assert.equal((await driver.ensure({ ...machine(), generation })).power, 'running')
    })

    it('reboots', async () => {
      await driver.reboot(SERVER_ID, true)
      assert.equal((await found())?.power, 'running')
    })

    it('is off when told so, ends its viewers, keeps its disk, copies it too, and comes back', async () => {
      const screen = await driver.openConsole(SERVER_ID, 'vnc')
      assert.equal((await driver.ensure(machine({ power: 'off' }))).power, 'shutdown')
      await readUntil(screen, () => false)
      await assert.rejects(driver.openConsole(SERVER_ID, 'vnc'), (error) => isFault(error, 'conflict'))
      const path = harness.snapshotPath()
      await driver.snapshotRoot(SERVER_ID, path)
      assert.ok(await harness.isQcow2(path))
      assert.equal((await driver.diagnostics(SERVER_ID)).state, 'shutdown')
      assert.equal((await driver.ensure(machine())).power, 'running')
    })

    it('starts anew with a new incarnation, and from the image with a new root generation', async () => {
      const resized = await driver.ensure(machine({ incarnation: 2, vcpus: 2, ram_mib: 192, properties: { os_shutdown_timeout: '0' } }))
      assert.deepEqual([resized.power, resized.incarnation], ['running', 2])
      const rebuilt = await driver.ensure(machine({ incarnation: 3, root_generation: 2 }))
      assert.deepEqual([rebuilt.power, rebuilt.incarnation, rebuilt.root_generation], ['running', 3, 2])
    })

    it('refuses what it does not have, and removes twice', async () => {
      await assert.rejects(driver.reboot(UNKNOWN_ID, true), (error) => isFault(error, 'not_found'))
      await assert.rejects(driver.snapshotRoot(UNKNOWN_ID, harness.snapshotPath()), (error) => isFault(error, 'not_found'))
      await driver.remove(SERVER_ID)
      await driver.remove(SERVER_ID)
      assert.equal(await found(), undefined)
    })
  })
}
