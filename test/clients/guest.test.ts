/** The user's path, whole: a server from the image, its console, ssh over the floating IP, a volume that keeps its data over detach, attach and reboot. Real QEMU, real network. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Browser, browserMissing } from '../support/browser.ts'
import { BOOT_TIMEOUT_MS, Guest } from '../support/guest.ts'
import { type Shipped, shipped } from '../support/shipped.ts'

let cloud: Shipped
let guest: Guest
let volume = ''

before(async () => {
  cloud = await shipped('local')
  guest = new Guest(cloud)
  await guest.prepare()
}, { timeout: 300_000 })
after(() => cloud.remove())

test('a server boots, its console shows the login prompt', { timeout: BOOT_TIMEOUT_MS + 60_000 }, async () => {
  await guest.create('vm1')
  await cloud.until('login: on the console', async () => guest.os('console', 'log', 'show', guest.serverId).includes('login:'), BOOT_TIMEOUT_MS)
})

test('its screen opens in noVNC and its serial line in a terminal, through the link that the host dialled', { timeout: 120_000, skip: browserMissing() }, async () => {
  const url = (kind: string) => guest.os('console', 'url', 'show', kind, guest.serverId, '-f', 'value', '-c', 'url')
  const connected = `document.getElementById('status').textContent === 'Connected'`
  const browser = await Browser.start()
  try {
    const screen = await browser.open(url('--novnc'))
    await screen.until('noVNC is connected', connected)
    await screen.sees(`QEMU (${guest.serverId})`)
    await screen.until('a picture with more than one colour', `(() => { const canvas = document.querySelector('#screen canvas'); const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height); return new Set(new Uint32Array(data.buffer)).size > 1 })()`)
    if (process.env.SKYHOOK_SCREENSHOTS !== undefined) await screen.screenshot(`${process.env.SKYHOOK_SCREENSHOTS}/guest.png`)
    const [, token] = url('--serial').split('token=')
    const serial = await browser.open(`${cloud.url}/dashboard/serial.html?token=${token}`)
    await serial.until('the terminal is connected', connected)
    await serial.call('Page.bringToFront')
    await serial.key('Enter')
    await serial.sees('vm1 login:')
    for (const letter of 'guest') await serial.key(letter)
    await serial.key('Enter')
    await serial.sees('Password:')
    assert.deepEqual([...screen.problems, ...serial.problems], [])
  } finally {
    await browser.stop()
  }
})

test('ssh over the floating IP works, the guest has its name and a way out to the gateway', { timeout: BOOT_TIMEOUT_MS + 60_000 }, async () => {
  await guest.reachable()
  assert.equal(guest.ssh('hostname'), 'vm1')
  assert.notEqual(guest.ssh('ping -c 1 -W 5 172.24.4.1'), null)
  assert.match(guest.ssh('wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json') ?? '', new RegExp(guest.serverId))
})

const device = () => `/dev/disk/by-id/virtio-${volume.slice(0, 20)}`

test('an attached volume is found by its id and keeps its data over detach and attach', { timeout: 240_000 }, async () => {
  volume = guest.os('volume', 'create', '--size', '1', 'data', '-f', 'value', '-c', 'id')
  await cloud.until('the volume', async () => guest.os('volume', 'show', volume, '-f', 'value', '-c', 'status') === 'available')
  guest.os('server', 'add', 'volume', guest.serverId, volume)
  await cloud.until('the disk in the guest', async () => guest.ssh(`test -b ${device()} && echo yes`) === 'yes', 90_000)
  assert.equal(guest.ssh(`echo kept-${volume.slice(0, 8)} | sudo dd of=${device()} bs=512 conv=sync 2>/dev/null && sync && echo done`), 'done')
  guest.os('server', 'remove', 'volume', guest.serverId, volume)
  await cloud.until('the volume is free', async () => guest.os('volume', 'show', volume, '-f', 'value', '-c', 'status') === 'available', 120_000)
  await cloud.until('the disk is gone from the guest', async () => guest.ssh(`test -b ${device()} || echo gone`) === 'gone', 60_000)
  guest.os('server', 'add', 'volume', guest.serverId, volume)
  await cloud.until('the data is back', async () => guest.ssh(`sudo head -c 13 ${device()} 2>/dev/null`) === `kept-${volume.slice(0, 8)}`, 90_000)
})

test('it keeps it over a reboot, too', { timeout: BOOT_TIMEOUT_MS + 60_000 }, async () => {
  const before = guest.ssh('cat /proc/sys/kernel/random/boot_id')
  guest.os('server', 'reboot', '--hard', '--wait', guest.serverId)
  await cloud.until('another boot', async () => {
    const now = guest.ssh('cat /proc/sys/kernel/random/boot_id')
    return now !== null && now !== before
  }, BOOT_TIMEOUT_MS)
  await cloud.until('the data is there', async () => guest.ssh(`sudo head -c 13 ${device()} 2>/dev/null`) === `kept-${volume.slice(0, 8)}`, 60_000)
})

test('after deleting everything nothing is left, and every invariant holds', { timeout: 120_000 }, async () => {
  guest.os('server', 'delete', '--wait', guest.serverId)
  guest.os('volume', 'delete', volume)
  await cloud.until('the volume is gone', async () => !guest.os('volume', 'list', '-f', 'value', '-c', 'ID').includes(volume))
  const verify = await cloud.until('verify is clean', async () => {
    const done = cloud.cli(['verify'])
    return done.status === 0 ? done.stdout : null
  }, 30_000)
  assert.match(verify, /all invariants hold/)
  assert.ok(!verify.includes('orphan'), verify)
})
