/** Partition hashes and a crash at every call: what a new process computes is what lies there, never what lay there before. And damage, found by whoever reads first. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ObjectArgs } from '../../../../schema/agent/protocol.ts'
import { at, bodyOf, md5, textOf } from '../conformance.ts'
import { MemoryFs } from '../memory-fs.ts'
import type { ObjectFs } from './fs.ts'
import { createXfsObjectDriver } from './index.ts'

let made = 0
const driverOn = (fs: ObjectFs) => createXfsObjectDriver({ devices_dir: '/dev', fs, ids: { hex: () => `id${made++}` } })
const where = { device: 'd', policy: 0, partition: 3 }
const args = (object: string, n: number): ObjectArgs => ({ ...where, hash: md5(object), name: `/a/c/${object}`, timestamp: at(n) })

function dying(fs: MemoryFs, calls: number): ObjectFs {
  let left = calls
  return new Proxy(fs, {
    get: (target, name) => {
      const method = Reflect.get(target, name, target) as (...rest: unknown[]) => Promise<unknown>
      return async (...rest: unknown[]) => {
        if (left-- <= 0) throw new Error('died')
        return method.apply(target, rest)
      }
    },
  }) as unknown as ObjectFs
}

/** Computed without any cache: on a copy of what lies there. */
async function truth(fs: MemoryFs): Promise<string[]> {
  const driver = driverOn(fs)
  const found: string[] = []
  for (const object of ['a', 'b']) found.push(await driver.head(args(object, 99)).then((head) => `${object} ${head.timestamp}`, (error) => `${object} ${error.details?.timestamp}`))
  return found
}

for (const power of [false, true]) {
  it(`hashes are right after a crash at any call${power ? ' and a power cut' : ''}`, async () => {
    const seen = new Map<string, string>()
    for (let calls = 1; ; calls++) {
      const fs = new MemoryFs()
      await fs.makeDevice('/dev/d')
      const first = driverOn(fs)
      await first.put(args('a', 1), bodyOf('one'))
      await first.put(args('b', 1), bodyOf('one'))
      await first.replicas.suffixes(where)
      let died = false
      try {
        const driver = driverOn(dying(fs, calls))
        await driver.put(args('a', 2), bodyOf('two'))
        await driver.replicas.suffixes(where)
        await driver.delete(args('b', 2))
        await driver.replicas.suffixes(where)
      } catch {
        died = true
      }
      if (power) fs.cutPower()
      const state = (await truth(fs)).join()
      const hashes = JSON.stringify(await driverOn(fs).replicas.suffixes(where))
      assert.equal(hashes, seen.get(state) ?? hashes, `after ${calls} calls`)
      seen.set(state, hashes)
      if (!died) break
    }
    assert.equal(new Set(seen.values()).size, seen.size, 'each state has its own hashes')
    assert.ok(seen.size >= 3)
  })
}

/** Holds up the calls that `which` names until they are let go. */
function held(fs: MemoryFs, which: (method: string, path: string) => boolean): { fs: ObjectFs; waiting(): number; letGo(): void } {
  let gates: (() => void)[] = []
  let open = false
  const proxy = new Proxy(fs, {
    get: (target, name) => {
      const method = Reflect.get(target, name, target) as (...rest: unknown[]) => Promise<unknown>
      return async (...rest: unknown[]) => {
        if (!open && which(String(name), rest.map(String).join(' '))) await new Promise<void>((resolve) => gates.push(resolve))
        return method.apply(target, rest)
      }
    },
  })
  return {
    fs: proxy as unknown as ObjectFs,
    waiting: () => gates.length,
    letGo: () => {
      open = true
      for (const go of gates) go()
      gates = []
    },
  }
}

const turns = async () => {
  for (let n = 0; n < 50; n++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a comparison in the middle of a change', () => {
  /** What a disk says that never kept a hash. */
  const plain = async (n: number) => {
    const fs = new MemoryFs()
    await fs.makeDevice('/dev/d')
    const driver = driverOn(fs)
    await driver.put(args('a', n), bodyOf(n === 1 ? 'one' : 'two'))
    return await driver.replicas.suffixes(where)
  }
  const moments: [string, (method: string, path: string) => boolean][] = [
    ['before the new version is in its place', (method, path) => method === 'rename' && /objects.*\.data/.test(path)],
    ['before the folder is synced', (method, path) => method === 'syncFolder' && path.includes('objects')],
    ['before what it replaces is gone', (method, path) => method === 'unlink' && path.includes('.data')],
  ]
  for (const [name, which] of moments) {
    it(`${name}, is made good by the next`, async () => {
      const fs = new MemoryFs()
      await fs.makeDevice('/dev/d')
      const gate = held(fs, which)
      const driver = driverOn(gate.fs)
      await driverOn(fs).put(args('a', 1), bodyOf('one'))
      assert.deepEqual(await driver.replicas.suffixes(where), await plain(1))
      const writing = driver.put(args('a', 2), bodyOf('two'))
      await turns()
      assert.equal(gate.waiting() > 0, true)
      await driver.replicas.suffixes(where)
      gate.letGo()
      await writing
      assert.deepEqual(await driver.replicas.suffixes(where), await plain(2))
      assert.deepEqual(await driverOn(fs).replicas.suffixes(where), await plain(2), 'and after a restart')
    })
  }

  it('that is taking the marks away does not take those of a change that begins meanwhile', async () => {
    const fs = new MemoryFs()
    await fs.makeDevice('/dev/d')
    const marks = held(fs, (method, path) => method === 'unlink' && path.includes('dirty-'))
    const driver = driverOn(marks.fs)
    await driver.put(args('a', 1), bodyOf('one'))
    const comparing = driver.replicas.suffixes(where)
    await turns()
    assert.equal(marks.waiting(), 1)
    const writing = driver.put(args('a', 2), bodyOf('two'))
    await turns()
    marks.letGo()
    await Promise.all([comparing, writing])
    assert.ok((await fs.readdir('/dev/d/objects/3')).some((file) => file.startsWith('dirty-')), 'a crash now would be seen')
    assert.deepEqual(await driverOn(fs).replicas.suffixes(where), await plain(2))
    assert.deepEqual(await driver.replicas.suffixes(where), await plain(2))
  })

  it('keeps nothing while objects of a partition come and go', async () => {
    const fs = new MemoryFs()
    await fs.makeDevice('/dev/d')
    const gate = held(fs, (method, path) => method === 'rename' && /objects.*\.data/.test(path))
    const driver = driverOn(gate.fs)
    await driverOn(fs).delete(args('a', 1))
    await driver.replicas.suffixes(where)
    const writing = driver.put(args('b', 2), bodyOf('two'))
    await turns()
    await driver.replicas.reclaim(where, at(5))
    await driver.replicas.suffixes(where)
    gate.letGo()
    await writing
    const told = await driver.replicas.suffixes(where)
    assert.deepEqual(Object.keys(told), [md5('b').slice(-3)])
    assert.deepEqual(await driverOn(fs).replicas.suffixes(where), told)
  })
})

/** Calls that reach the disk. */
function watched(fs: MemoryFs, seen: string[]): ObjectFs {
  return new Proxy(fs, {
    get: (target, name) => {
      const method = Reflect.get(target, name, target) as (...rest: unknown[]) => Promise<unknown>
      return async (...rest: unknown[]) => {
        seen.push(String(name))
        return method.apply(target, rest)
      }
    },
  }) as unknown as ObjectFs
}

describe('what is kept of hashes', () => {
  it('costs an unchanged partition no look at its contents, and is forgotten with the next change, by whomever', async () => {
    const fs = new MemoryFs()
    await fs.makeDevice('/dev/d')
    const seen: string[] = []
    const driver = driverOn(watched(fs, seen))
    await driver.put(args('a', 1), bodyOf('one'))
    const fresh = () => driverOn(fs).replicas.suffixes(where)
    for (let pass = 0; pass < 2; pass++) await driver.replicas.suffixes(where)
    seen.length = 0
    assert.deepEqual(await driver.replicas.suffixes(where), await fresh())
    assert.deepEqual([...new Set(seen)].sort(), ['device', 'folderStamp'])
    for (const change of [() => driver.put(args('a', 2), bodyOf('two')), () => driver.put(args('b', 2), bodyOf('two')), () => driver.delete(args('a', 3))]) {
      const before = JSON.stringify(await driver.replicas.suffixes(where))
      await change()
      const after = await driver.replicas.suffixes(where)
      assert.notEqual(JSON.stringify(after), before)
      assert.deepEqual(after, await fresh())
      for (let pass = 0; pass < 2; pass++) await driver.replicas.suffixes(where)
    }
    // Somebody takes a suffix away under our feet.
    const [lost = ''] = Object.keys(await driver.replicas.suffixes(where))
    const folder = `/dev/d/objects/3/${lost}`
    for (const hash of await fs.readdir(folder)) {
      for (const file of await fs.readdir(`${folder}/${hash}`)) await fs.unlink(`${folder}/${hash}/${file}`)
      await fs.rmdir(`${folder}/${hash}`)
    }
    await fs.rmdir(folder)
    assert.equal((await driver.replicas.suffixes(where))[lost], undefined)
  })
})

describe('damage', () => {
  const setup = async () => {
    const fs = new MemoryFs()
    await fs.makeDevice('/dev/d')
    const driver = driverOn(fs)
    return { fs, driver }
  }

  it('is seen before a byte of its block is given, in whole reads and in ranges, and the replica is put aside', async () => {
    for (const range of [null, [1_000_000, 1_000_010]] as ([number, number] | null)[]) {
      const { fs, driver } = await setup()
      const body = new Uint8Array(1_500_000).map((_, n) => n % 253)
      await driver.put(args('a', 1), bodyOf(body))
      fs.flipBit('/dev/d/objects', '.data', (count) => (count === body.length ? 1_000_003 : 0))
      let given = 0
      await assert.rejects(async () => {
        const got = await driver.get({ ...args('a', 9), range })
        for await (const chunk of got.body) given += chunk.length
      }, { kind: 'internal', message: /block 1/ })
      assert.equal(given, range === null ? 524_288 : 0)
      await assert.rejects(driver.head(args('a', 9)), { kind: 'not_found', details: { timestamp: null } })
      assert.equal(await driver.replicas.quarantined('d'), 1)
      assert.deepEqual(await driver.replicas.suffixes(where), {})
    }
  })

  it('is found by the auditor in a body, and a whole version is taken in again', async () => {
    const { fs, driver } = await setup()
    await driver.put(args('a', 1), bodyOf('some bytes'))
    const version = { ...where, hash: md5('a'), kind: 'data' as const, timestamp: at(1) }
    const { stored, body } = await driver.replicas.read(version)
    const whole = await textOf(body)
    assert.ok(fs.flipBit('/dev/d/objects', '.data', () => 0))
    const audited = await driver.replicas.audit(where, md5('a'), async () => {})
    assert.match(audited.damage ?? '', /check sum/)
    assert.equal(await driver.replicas.receive({ ...version, stored }, bodyOf(whole)), true)
    assert.equal(await textOf((await driver.get(args('a', 9))).body), 'some bytes')
    assert.equal((await driver.replicas.audit(where, md5('a'), async () => {})).damage, null)
  })

  it('of a disk takes it out until a write on it succeeds', async () => {
    const { fs, driver } = await setup()
    await driver.put(args('a', 1), bodyOf('x'))
    const reading = fs.device.bind(fs)
    fs.device = async () => '0'
    fs.breakDown('/dev/d')
    await assert.rejects(driver.head(args('a', 9)), { kind: 'unavailable', message: /EIO/ })
    assert.deepEqual(driver.replicas.failures(), { d: 'EIO' })
    assert.deepEqual(await driver.devices(), [])
    fs.repair('/dev/d')
    await assert.rejects(driver.head(args('a', 9)), { kind: 'unavailable' }, 'until it was tried')
    fs.device = reading
    assert.equal((await driver.devices()).length, 1)
    assert.equal((await driver.head(args('a', 9))).size_bytes, 1)
  })

  it('of a disk that was swapped for an empty one, with no call in between: the new one is written and synced from the top', async () => {
    const { fs, driver } = await setup()
    await driver.put(args('a', 1), bodyOf('x'))
    await driver.replicas.suffixes(where)
    fs.swap('/dev/d')
    await assert.rejects(driver.head(args('a', 9)), { kind: 'not_found' })
    fs.swap('/dev/d')
    await driver.put(args('b', 2), bodyOf('after'))
    fs.cutPower()
    assert.equal((await driverOn(fs).head(args('b', 9))).size_bytes, 5)
    assert.deepEqual(Object.keys(await driver.replicas.suffixes(where)), [md5('b').slice(-3)])
  })

  it('of the room: a device keeps a reserve, and still deletes', async () => {
    const fs = new MemoryFs({ device_bytes: 1_000 })
    await fs.makeDevice('/dev/d')
    const driver = driverOn(fs)
    await assert.rejects(driver.put({ ...args('a', 1), size_bytes: 995 }, bodyOf('x')), { kind: 'insufficient_storage' })
    await driver.put({ ...args('a', 1), size_bytes: 400 }, bodyOf(new Uint8Array(400)))
    await assert.rejects(driver.put({ ...args('b', 1), size_bytes: 595 }, bodyOf(new Uint8Array(595))), { kind: 'insufficient_storage' })
    assert.equal((await driver.delete(args('a', 2))).existed, true)
  })
})
