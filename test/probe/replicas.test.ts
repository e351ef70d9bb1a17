/** Hosts killed and disks unmounted in the middle of things; then everything back, the consistency services once, and every replica right. One host is reached through the plane only. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { cannotProbe, DEVICE, type Lying, ProbeLab } from './lab.ts'

const HOSTS = 4
const REPLICAS = 3
const md5 = (bytes: Uint8Array | string): string => createHash('md5').update(bytes).digest('hex')

/** What lies of each object: the same files on exactly the replicas' number of hosts. */
function wrong(lying: readonly Lying[]): string[] {
  const objects = new Map<string, Map<number, string[]>>()
  for (const { hash, host, file } of lying) {
    const hosts = objects.get(hash) ?? new Map<number, string[]>()
    hosts.set(host, [...(hosts.get(host) ?? []), file].sort())
    objects.set(hash, hosts)
  }
  return [...objects].flatMap(([hash, hosts]) => {
    const states = new Set([...hosts.values()].map((files) => files.join()))
    return hosts.size === REPLICAS && states.size === 1 ? [] : [`${hash}: ${JSON.stringify([...hosts])}`]
  })
}

describe('replicas on real disks', { skip: cannotProbe() }, () => {
  let lab: ProbeLab
  before(async () => {
    lab = await ProbeLab.start(HOSTS, { 3: { SKYHOOK_STORAGE_IP: '192.0.2.1' } })
  })
  after(async () => {
    await lab?.end()
  })

  const put = async (name: string, body: Uint8Array | string) => lab.swift('PUT', `/c/${name}`, { body: body as BodyInit, headers: { 'content-length': String(body.length) } })
  const heal = async () => {
    for (let pass = 0; pass < 2; pass++) for (const told of await lab.run()) assert.equal(told.error, null)
    assert.deepEqual(wrong(lab.lying()), [])
  }

  it('takes writes on three of four hosts, and hosts know where each other are', async () => {
    for (let n = 0; n < 20; n++) assert.equal((await put(`o${n}`, `first ${n}`)).status, 201)
    assert.equal((await put('large', randomBytes(3_000_000))).status, 201)
    await heal()
    assert.equal(lab.lying().filter(({ file }) => file.endsWith('.data')).length, 21 * REPLICAS)
    assert.match(lab.hosts[3]?.log() ?? '', /lan_not_served/)
  })

  it('a host killed while it is written to, overwritten, posted to and deleted from has everything after one pass', async () => {
    const big = randomBytes(2_000_000)
    let sent = 0
    const slow = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (sent === 1_000_000) await lab.hosts[0]?.kill()
        await new Promise((resolve) => setTimeout(resolve, 20))
        if (sent >= big.length) return controller.close()
        controller.enqueue(big.subarray(sent, sent + 250_000))
        sent += 250_000
      },
    })
    const written = await lab.swift('PUT', '/c/during', { body: slow as never })
    assert.equal(written.status, 201, written.text)
    for (let n = 0; n < 20; n++) {
      if (n % 4 === 0) assert.equal((await lab.swift('DELETE', `/c/o${n}`)).status, 204)
      else if (n % 4 === 1) assert.equal((await put(`o${n}`, `second ${n}`)).status, 201)
      else if (n % 4 === 2) assert.equal((await lab.swift('POST', `/c/o${n}`, { headers: { 'x-object-meta-mark': `m${n}` } })).status, 202)
      else assert.equal((await lab.swift('GET', `/c/o${n}`)).text, `first ${n}`)
    }
    assert.ok(wrong(lab.lying()).length > 0)
    lab.hosts[0]?.start()
    await lab.connected(0, true)
    await heal()
    for (let n = 0; n < 20; n++) {
      const got = await lab.swift('GET', `/c/o${n}`)
      assert.equal(n % 4 === 0 ? got.status : got.text, n % 4 === 0 ? 404 : n % 4 === 1 ? `second ${n}` : `first ${n}`)
      if (n % 4 === 2) assert.equal(got.headers.get('x-object-meta-mark'), `m${n}`)
    }
    assert.equal((await lab.swift('HEAD', '/c/during')).headers.get('etag'), md5(big))
  })

  it('a disk unmounted under a running host refuses, writes go elsewhere, and all is right when it is back', async () => {
    lab.hosts[1]?.unmount()
    for (let n = 0; n < 12; n++) assert.equal((await put(`u${n}`, `unmounted ${n}`)).status, 201)
    assert.equal((await lab.swift('DELETE', '/c/o1')).status, 204)
    assert.deepEqual(readdirSync(join(lab.hosts[1]?.devices ?? '', DEVICE)), [], 'nothing was written to the folder below')
    const [told] = (await lab.run('updater')).filter(({ host }) => host === 'h1')
    assert.match(told?.recon?.devices[0]?.error ?? '', /not there/)
    lab.hosts[1]?.mount()
    await heal()
    for (let n = 0; n < 12; n++) assert.equal((await lab.swift('GET', `/c/u${n}`)).text, `unmounted ${n}`)
    assert.equal((await lab.swift('GET', '/c/o1')).status, 404)
  })

  it('what an unmounted disk held is filled up elsewhere by one run, and drains back when the disk is there again', async () => {
    const [primary] = lab.lying().filter(({ file }) => file.endsWith('.data'))
    const lost = lab.hosts[primary?.host ?? 0]
    const held = lost?.lying().filter(({ file }) => file.endsWith('.data')).length ?? 0
    assert.ok(held > 0)
    lost?.unmount()
    const whole = () => {
      const copies = new Map<string, number>()
      for (const { hash, file } of lab.lying()) if (file.endsWith('.data')) copies.set(hash, (copies.get(hash) ?? 0) + 1)
      return [...copies.values()]
    }
    assert.ok(whole().some((count) => count < REPLICAS))
    for (const told of await lab.run()) assert.equal(told.error, null)
    assert.deepEqual(whole().filter((count) => count !== REPLICAS), [], 'three good replicas of everything on three disks')
    const filled = (await lab.ring()).devices.reduce((sum, device) => sum + (device.recon?.replicator.filled ?? 0), 0)
    assert.ok(filled >= held, `${filled} of ${held} were brought elsewhere`)
    for (let n = 0; n < 12; n++) assert.equal((await lab.swift('GET', `/c/u${n}`)).text, `unmounted ${n}`)
    lost?.mount()
    for (const told of await lab.run()) assert.equal(told.error, null)
    assert.deepEqual(wrong(lab.lying()), [], 'on the primaries, and no handoff holds anything')
  })

  it('a flipped bit on any replica is found and healed, and reads meanwhile are right', async () => {
    const body = randomBytes(1_500_000)
    await put('bits', body)
    await heal()
    const mine = lab.lying().filter(({ path }) => readFileSync(path).equals(body))
    assert.equal(mine.length, REPLICAS)
    for (const { path } of mine) {
      const bytes = readFileSync(path)
      bytes[1_200_000] = (bytes[1_200_000] ?? 0) ^ 4
      writeFileSync(path, bytes)
      assert.equal(md5(await lab.bytes('/c/bits')), md5(body))
      await heal()
      assert.equal(md5(readFileSync(path)), md5(body), 'a whole replica is in its place')
    }
    const quarantined = (await lab.ring()).devices.reduce((sum, device) => sum + (device.recon?.quarantined ?? 0), 0)
    assert.equal(quarantined, REPLICAS)
  })

  it('the ring is told in words, and a drained host is emptied while reads go on', async () => {
    const status = lab.cloud.cli(['ring', 'status'])
    assert.equal(status.status, 0, status.stderr)
    assert.match(status.stdout, /1024 partitions, 3 replicas/)
    assert.match(status.stdout, /h2\/d1/)
    const drained = lab.cloud.cli(['ring', 'drain', 'h2/d1'])
    assert.match(drained.stdout, /h2\/d1.*drained/)
    for (let n = 0; n < 12; n++) assert.equal((await lab.swift('GET', `/c/u${n}`)).text, `unmounted ${n}`)
    await heal()
    await lab.run('replicator')
    assert.deepEqual(lab.hosts[2]?.lying(), [])
    assert.equal((await lab.ring()).moving, 0)
    for (let n = 0; n < 12; n++) assert.equal((await lab.swift('GET', `/c/u${n}`)).text, `unmounted ${n}`)
    assert.equal(lab.cloud.cli(['ring', 'remove', 'h2/d1']).status, 0)
  })
})
