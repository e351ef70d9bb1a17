/**
 * kill -9 of workerd, of the agent, of both: during a server create, an object PUT and a volume attach. After the restart nothing acknowledged is lost, nothing is
 * stuck, verify is clean, and the guest that ran before never stopped. Real host, real QEMU.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Guest } from '../support/guest.ts'
import { type Shipped, shipped } from '../support/shipped.ts'

let cloud: Shipped
let guest: Guest
let uptime: number

before(async () => {
  cloud = await shipped('local')
  guest = new Guest(cloud)
  await guest.prepare()
  await guest.create('witness')
  await guest.reachable()
  uptime = Date.now() - boottime()
}, { timeout: 600_000 })
after(() => cloud.remove())

const boottime = () => Number(guest.ssh('cut -d. -f1 /proc/uptime') ?? 0) * 1_000

const VICTIMS = [['workerd'], ['agent'], ['workerd', 'agent']]

function kill(names: string[]): void {
  const { processes } = cloud.state()
  for (const name of names) process.kill(processes[name] ?? 0, 'SIGKILL')
}

const status = async (path: string, key: string) => ((await cloud.api.call('GET', path)) as Record<string, { status: string }>)[key]?.status

async function healthy(): Promise<void> {
  await cloud.until('the cloud answers again', async () => (await cloud.api.healthy()) !== null, 30_000)
  await cloud.until('the host is up', async () => ((await cloud.api.call('GET', '/agents/v1/hosts')) as { hosts: { up: boolean }[] }).hosts.every((host) => host.up), 60_000)
}

/** What a client does whose connection broke: the same request with the same key until it is answered. Killed between its transaction and the keeping of the answer, the retry is told what the first request made. */
async function insistOnServer(body: unknown, key: string): Promise<{ id: string }> {
  const made = await cloud.until('POST /compute/v2.1/servers', async () => {
    try {
      return ((await cloud.api.call('POST', '/compute/v2.1/servers', body, { headers: { 'idempotency-key': key } })) as unknown as { server: { id: string } }).server
    } catch (error) {
      const id = /was carried out \(server ([0-9a-f-]{36})\) but its answer was lost/.exec((error as Error).message)?.[1]
      if (id === undefined) throw error
      return { id }
    }
  }, 120_000)
  return made as { id: string }
}

for (const victims of VICTIMS) {
  const named = victims.join(' and ')

  test(`kill -9 of ${named} during a server create`, { timeout: 300_000 }, async () => {
    const image = (await cloud.api.call('GET', '/image/v2/images?name=guest')).images[0].id
    const network = (await cloud.api.call('GET', '/network/v2.0/networks?name=private')).networks[0].id
    const create = insistOnServer({ server: { name: `killed-${victims.join('-')}`, flavorRef: '1', imageRef: image, networks: [{ uuid: network }] } }, `create-${named}`)
    await new Promise((resolve) => setTimeout(resolve, 120))
    kill(victims)
    const server = await create
    await healthy()
    await cloud.until('the server is ACTIVE', async () => (await status(`/compute/v2.1/servers/${server.id}`, 'server')) === 'ACTIVE', 90_000)
    const list = (await cloud.api.call('GET', `/compute/v2.1/servers?name=killed-${victims.join('-')}`)).servers
    assert.equal(list.length, 1, 'one create, one server')
    await cloud.api.call('DELETE', `/compute/v2.1/servers/${server.id}`)
    await cloud.until('the server is gone', async () => ((await cloud.call('GET', `/compute/v2.1/servers/${server.id}`, { token: await token() })).status === 404), 60_000)
  })

  test(`kill -9 of ${named} during object PUTs: what was acknowledged is there`, { timeout: 180_000 }, async () => {
    const account = `/object-store/v1/AUTH_${cloud.api.projectId}`
    await cloud.api.call('PUT', `${account}/kill`)
    const acknowledged: string[] = []
    const secret = await token()
    let over = false
    const puts = (async () => {
      for (let n = 0; !over && n < 200; n++) {
        const name = `${victims.join('-')}-${n}`
        const answer = await cloud.call('PUT', `${account}/kill/${name}`, { token: secret, body: `content of ${name}` }).catch(() => null)
        if (answer?.status === 201) acknowledged.push(name)
      }
    })()
    await new Promise((resolve) => setTimeout(resolve, 400))
    kill(victims)
    await healthy()
    over = true
    await puts
    assert.ok(acknowledged.length > 0)
    const listed = (await cloud.api.call('GET', `${account}/kill?format=json&limit=10000`)) as { name: string }[]
    for (const name of acknowledged) {
      // The host may still be on its way back: 503 says so, and is no loss.
      const got = await cloud.until(`GET of ${name}`, async () => {
        const answer = await cloud.call('GET', `${account}/kill/${name}`, { token: secret })
        return answer.status === 503 ? null : answer
      }, 30_000)
      assert.equal(got.text, `content of ${name}`)
      assert.ok(listed.some((row) => row.name === name), `${name} is not listed`)
    }
  })

  test(`kill -9 of ${named} during a volume attach`, { timeout: 300_000 }, async () => {
    const { volume } = await cloud.api.call('POST', `/volume/v3/${cloud.api.projectId}/volumes`, { volume: { size: 1, name: 'killed' } })
    const path = `/volume/v3/${cloud.api.projectId}/volumes/${volume.id}`
    await cloud.until('the volume is available', async () => (await status(path, 'volume')) === 'available')
    const attach = cloud.call('POST', `/compute/v2.1/servers/${guest.serverId}/os-volume_attachments`, { token: await token(), json: { volumeAttachment: { volumeId: volume.id } } }).catch(() => null)
    await new Promise((resolve) => setTimeout(resolve, 60))
    kill(victims)
    const answer = await attach
    await healthy()
    const settled = await cloud.until('the volume settles', async () => {
      const now = await status(path, 'volume')
      return now === 'in-use' || (now === 'available' && answer?.status !== 200) ? now : null
    }, 120_000)
    if (settled === 'in-use') {
      await cloud.until('the guest has the disk', async () => guest.ssh(`test -b /dev/disk/by-id/virtio-${volume.id.slice(0, 20)} && echo yes`) === 'yes', 90_000)
      await cloud.api.call('DELETE', `/compute/v2.1/servers/${guest.serverId}/os-volume_attachments/${volume.id}`)
      await cloud.until('the volume is free', async () => (await status(path, 'volume')) === 'available', 120_000)
    }
    await cloud.api.call('DELETE', path)
    await cloud.until('the volume is gone', async () => ((await cloud.call('GET', path, { token: await token() })).status === 404), 60_000)
  })
}

test('the witness never stopped, and every invariant holds', { timeout: 120_000 }, async () => {
  assert.equal(await status(`/compute/v2.1/servers/${guest.serverId}`, 'server'), 'ACTIVE')
  assert.ok(Math.abs(Date.now() - boottime() - uptime) < 60_000, 'the guest was booted anew')
  await cloud.until('verify is clean', async () => cloud.cli(['verify']).status === 0, 60_000)
})

async function token(): Promise<string> {
  const json = { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password: cloud.password } } }, scope: { project: { name: 'admin', domain: { id: 'default' } } } } }
  return await cloud.until('a token', async () => (await cloud.call('POST', '/identity/v3/auth/tokens', { json })).headers.get('x-subject-token'), 30_000)
}
