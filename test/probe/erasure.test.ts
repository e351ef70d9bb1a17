/** Fragments on real disks: hosts killed and disks lost in the middle of things; the reconstructor once, and each fragment in its place. One host is reached through the plane only. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { cannotProbe, type Lying, ProbeLab } from './lab.ts'

const HOSTS = 5
const POLICY = { index: 0, name: 'ec', default: true, policy_type: 'erasure_coding', ec_num_data_fragments: 3, ec_num_parity_fragments: 2 }
const md5 = (bytes: Uint8Array | string): string => createHash('md5').update(bytes).digest('hex')

/** Of each object: five fragments of one write that count, each number on a host of its own; or a tombstone on each. */
function wrong(lying: readonly Lying[]): string[] {
  const objects = new Map<string, Lying[]>()
  for (const one of lying) objects.set(one.hash, [...(objects.get(one.hash) ?? []), one])
  return [...objects].flatMap(([hash, files]) => {
    const data = files.filter(({ file }) => file.endsWith('.data'))
    const numbers = new Set(data.map(({ file }) => /#(\d)#d/.exec(file)?.[1] ?? `not counting: ${file}`))
    const isWhole = data.length === HOSTS && numbers.size === HOSTS && new Set(data.map(({ host }) => host)).size === HOSTS && new Set(data.map(({ file }) => file.split('#')[0])).size === 1
    const isGone = data.length === 0 && files.length === HOSTS
    return isWhole || isGone ? [] : [`${hash}: ${files.map(({ host, file }) => `h${host} ${file}`).join(', ')}`]
  })
}

for (const encryption of [false, true]) describe(encryption ? 'encrypted fragments on real disks' : 'fragments on real disks', { skip: cannotProbe() }, () => {
  let lab: ProbeLab
  const bodies = new Map<string, Uint8Array>()
  before(async () => {
    lab = await ProbeLab.start(HOSTS, { 3: { SKYHOOK_STORAGE_IP: '192.0.2.1' } }, { storage_policies: [POLICY], encryption })
  })
  after(async () => {
    await lab?.end()
  })

  const put = async (name: string, body: Uint8Array) => {
    bodies.set(name, body)
    return await lab.swift('PUT', `/c/${name}`, { body: body as BodyInit, headers: { 'content-length': String(body.length) } })
  }
  const readAll = async () => {
    for (const [name, body] of bodies) assert.equal(md5(await lab.bytes(`/c/${name}`)), md5(body), name)
  }
  const heal = async () => {
    for (let pass = 0; pass < 2; pass++) for (const told of await lab.run()) assert.equal(told.error, null)
    assert.deepEqual(wrong(lab.lying()), [])
  }

  it('takes objects of every size on five hosts', async () => {
    for (const size of [0, 1, 100, 3_000_000]) assert.equal((await put(`o${size}`, randomBytes(size))).status, 201)
    await readAll()
    assert.deepEqual(wrong(lab.lying()), [])
  })

  it('lies on the disks as it is to lie there', async () => {
    const marker = `marker-${randomBytes(8).toString('hex')}`
    assert.equal((await lab.swift('PUT', '/c/marked', { body: `${marker} `.repeat(20_000), headers: { 'x-object-meta-a': `meta-${marker}` } })).status, 201)
    bodies.set('marked', new TextEncoder().encode(`${marker} `.repeat(20_000)))
    for (const text of [`${marker} ${marker}`, `meta-${marker}`]) assert.deepEqual(lab.hosts.map((host) => host.holds(text)).includes(true), !encryption, text)
    assert.ok(lab.hosts.every((host) => host.holds('/c/marked')), 'the disks were looked at')
  })

  it('a host killed in the middle of a write, and away for others, has its fragments after a pass', async () => {
    const big = randomBytes(4_000_000)
    let sent = 0
    const slow = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (sent === 2_000_000) await lab.hosts[0]?.kill()
        await new Promise((resolve) => setTimeout(resolve, 20))
        if (sent >= big.length) return controller.close()
        controller.enqueue(big.subarray(sent, sent + 500_000))
        sent += 500_000
      },
    })
    const written = await lab.swift('PUT', '/c/during', { body: slow as never })
    assert.equal(written.status, 201, written.text)
    bodies.set('during', big)
    assert.equal((await put('o100', randomBytes(200))).status, 201)
    assert.equal((await lab.swift('DELETE', '/c/o1')).status, 204)
    bodies.delete('o1')
    await readAll()
    lab.hosts[0]?.start()
    await lab.connected(0, true)
    await readAll()
    await heal()
    await readAll()
  })

  it('two disks that were replaced are filled by computing, over the LAN and through the plane', async () => {
    for (const host of [1, 3]) lab.hosts[host]?.unmount()
    await readAll()
    await lab.run('reconstructor')
    const numbers = new Map<string, Set<string>>()
    for (const { hash, file } of lab.lying()) numbers.set(hash, (numbers.get(hash) ?? new Set()).add(/#(\d)#d.*\.data$/.exec(file)?.[1] ?? 'gone'))
    for (const [hash, found] of numbers) assert.ok(found.has('gone') || found.size === HOSTS, `${hash}: with no handoff the others keep what is lost: ${[...found]}`)
    await readAll()
    for (const host of [1, 3]) lab.hosts[host]?.replace()
    await readAll()
    await heal()
    for (const host of [0, 2]) await lab.hosts[host]?.kill()
    await lab.connected(0, false)
    await lab.connected(2, false)
    await readAll()
    for (const host of [0, 2]) lab.hosts[host]?.start()
    for (const host of [0, 2]) await lab.connected(host, true)
  })

  it('a flipped bit in a fragment is never served, found and healed', async () => {
    const [victim] = lab.lying().filter(({ path, file }) => file.endsWith('.data') && readFileSync(path).length > 1_000_000)
    assert.ok(victim !== undefined)
    const bytes = readFileSync(victim.path)
    bytes[700_000] = (bytes[700_000] ?? 0) ^ 4
    writeFileSync(victim.path, bytes)
    await readAll()
    await heal()
    await readAll()
  })

  if (encryption) it('goes to another root secret: records are sealed anew, and the old one is needed no more', async () => {
    const images = () => lab.lying().filter(({ file }) => file.endsWith('.data')).map(({ path }) => md5(readFileSync(path)))
    const before = images().sort()
    await lab.setRoots((roots) => [randomBytes(32).toString('base64url'), ...roots])
    await readAll()
    assert.equal((await put('o100', randomBytes(300))).status, 201)
    const told = await lab.run('resealer')
    const figures = told.flatMap(({ recon }) => recon?.devices.map(({ resealer }) => resealer) ?? [])
    assert.equal(figures.length, HOSTS)
    for (const one of figures) assert.ok(one !== undefined && one.sealed > 0 && one.left === 0 && one.failures === 0, JSON.stringify(one))
    await lab.setRoots(([fresh = '']) => [fresh])
    await readAll()
    assert.ok(before.filter((sum) => images().includes(sum)).length >= before.length - HOSTS, 'bytes of bodies are as they were')
    await heal()
  })
})
