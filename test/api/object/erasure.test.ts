/** Erasure-coded containers through the API: what is written comes back whatever m hosts are lost, partial writes show nowhere and destroy nothing, what is damaged is never served. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { Fault } from '../../../schema/values/fault.ts'
import { type ErasureCloud, type ErasureHost, erasureCloud } from './erasure-cloud.ts'

const md5 = (bytes: Uint8Array | string): string => createHash('md5').update(bytes).digest('hex')
const SEGMENT = 64 * 1024

/** Nothing of it repeats: a piece in the wrong place shows. */
function content(size: number, seed = 1): Uint8Array {
  const out = new Uint8Array(size)
  let state = seed * 2654435761
  for (let n = 0; n < size; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    out[n] = state >>> 24
  }
  return out
}

/** Plain and encrypted: what holds of one holds of the other. */
async function withCloud(options: { hosts: number; data: number; parity: number }, work: (cloud: ErasureCloud, tag_bytes: number) => Promise<void>): Promise<void> {
  for (const encrypted of [false, true]) {
    const cloud = await erasureCloud({ segment_bytes: SEGMENT, ...options, encrypted })
    try {
      await cloud.swift('PUT', '/c')
      await work(cloud, encrypted ? 16 : 0)
      await new Promise((resolve) => setTimeout(resolve, 10))
      assert.equal(cloud.open(), 0, 'no body is left open')
    } finally {
      cloud.close()
    }
  }
}

const known = (cloud: ErasureCloud, path: string, bytes: Uint8Array, headers: Record<string, string> = {}) => cloud.swift('PUT', path, { body: bytes as never, headers: { 'content-length': String(bytes.byteLength), ...headers } })
/** No length beforehand, in pieces of its own. */
const chunked = (cloud: ErasureCloud, path: string, bytes: Uint8Array, piece = 10_007) => {
  let at = 0
  return cloud.swift('PUT', path, {
    body: new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at >= bytes.byteLength) return controller.close()
        controller.enqueue(bytes.slice(at, at + piece))
        at += piece
      },
    }) as never,
  })
}

function* losses(hosts: ErasureHost[], count: number, from = 0): Generator<ErasureHost[]> {
  if (count === 0) return yield []
  for (let n = from; n <= hosts.length - count; n++) for (const rest of losses(hosts, count - 1, n + 1)) yield [hosts[n] as ErasureHost, ...rest]
}

test('objects of every odd size come back, of known length and chunked, with their ETags', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud) => {
    for (const size of [0, 1, 3, 4, 5, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT + 4_567, 1_300_000]) {
      const bytes = content(size, size + 1)
      for (const [path, write] of [['/c/known', known], ['/c/chunked', chunked]] as const) {
        const put = await write(cloud, path, bytes)
        assert.deepEqual([put.status, put.headers.get('etag')], [201, md5(bytes)], `${path} of ${size}: ${put.text}`)
        const got = await cloud.bytes(path)
        assert.equal(got.status, 200)
        assert.equal(got.headers.get('content-length'), String(size))
        assert.equal(md5(got.bytes), md5(bytes))
        const head = await cloud.swift('HEAD', path)
        assert.deepEqual([head.headers.get('etag'), head.headers.get('content-length')], [md5(bytes), String(size)])
      }
    }
    const [row] = JSON.parse((await cloud.swift('GET', '/c?format=json')).text) as { bytes: number; hash: string }[]
    assert.deepEqual(row === undefined ? null : [row.bytes, row.hash], [1_300_000, md5(content(1_300_000, 1_300_001))])
  })
})

test('a host keeps a quarter of the bytes, not all of them', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud, tag_bytes) => {
    const bytes = content(4 * SEGMENT)
    await known(cloud, '/c/o', bytes)
    for (const { calls } of cloud.hosts.values()) assert.deepEqual(calls.filter(({ op }) => op === 'object.put').map(({ args }) => args.size_bytes), [SEGMENT + tag_bytes + 4096])
    const numbers = [...cloud.hosts.values()].flatMap(({ calls }) => calls.flatMap(({ op, args }) => (op === 'object.put' ? [args.fragment?.index] : [])))
    assert.deepEqual(numbers.sort(), [0, 1, 2, 3, 4, 5])
  })
})

test('any m hosts may be lost: whole bodies and ranges across segments are right', async () => {
  await withCloud({ hosts: 5, data: 3, parity: 2 }, async (cloud) => {
    const bytes = content(3 * SEGMENT + 333)
    await known(cloud, '/c/o', bytes)
    for (const lost of losses([...cloud.hosts.values()], 2)) {
      for (const host of lost) host.down = true
      assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(bytes))
      for (const [first, last] of [[0, 0], [SEGMENT - 1, SEGMENT], [100, 2 * SEGMENT + 7], [3 * SEGMENT, 3 * SEGMENT + 332]] as const) {
        const part = await cloud.bytes('/c/o', { range: `bytes=${first}-${last}` })
        assert.equal(part.status, 206)
        assert.deepEqual(part.bytes, bytes.subarray(first, last + 1))
      }
      for (const host of lost) host.down = false
    }
    for (const host of [...cloud.hosts.values()].slice(0, 3)) host.down = true
    assert.equal((await cloud.swift('GET', '/c/o')).status, 503, 'with fewer than k it is "not now"')
  })
})

test('a write needs more than k hosts; one that lacks them shows nowhere and leaves the old object', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud) => {
    const [old, fresh] = [content(2 * SEGMENT, 1), content(3 * SEGMENT + 1_000_000, 2)]
    await known(cloud, '/c/o', old)
    const hosts = [...cloud.hosts.values()]
    for (const host of hosts.slice(0, 2)) host.down = true
    for (const write of [known, chunked]) assert.equal((await write(cloud, '/c/o', fresh)).status, 503)
    for (const host of hosts) host.down = false
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(old))
    for (const lost of losses(hosts, 2)) {
      for (const host of lost) host.down = true
      assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(old))
      for (const host of lost) host.down = false
    }
    const [first] = hosts
    if (first !== undefined) first.down = true
    assert.equal((await known(cloud, '/c/o', fresh)).status, 201, 'k + 1 are enough')
    if (first !== undefined) first.down = false
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(fresh))
  })
})

test('a client that goes away in the middle, and a body that is not what it said, change nothing', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud) => {
    const old = content(SEGMENT, 1)
    await known(cloud, '/c/o', old)
    const big = content(2_000_000, 2)
    let sent = 0
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent > 1_500_000) return controller.error(new Error('the client is gone'))
        controller.enqueue(big.slice(sent, sent + 100_000))
        sent += 100_000
      },
    })
    assert.equal((await cloud.swift('PUT', '/c/o', { body: broken as never })).status, 499)
    assert.equal((await known(cloud, '/c/o', big, { etag: md5('other') })).status, 422)
    assert.equal((await known(cloud, '/c/o', content(100), { etag: md5('other') })).status, 422)
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(old))
    const left = await Promise.all([...cloud.hosts.values()].map(async ({ driver, calls }) => (await driver.fragments(calls.find(({ op }) => op === 'object.put')?.args as never)).fragments.length))
    assert.deepEqual(left, [1, 1, 1, 1, 1, 1], 'nothing of the failed writes lies on any disk')
  })
})

test('a host that fails in the middle of a write is done without', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud) => {
    const bytes = content(2_500_000)
    const [victim] = cloud.hosts.values()
    let sent = 0
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent >= 1_000_000 && victim !== undefined) victim.down = true
        if (sent >= bytes.byteLength) return controller.close()
        controller.enqueue(bytes.slice(sent, sent + 50_000))
        sent += 50_000
      },
    })
    assert.equal((await cloud.swift('PUT', '/c/o', { body: body as never })).status, 201)
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(bytes))
    if (victim !== undefined) victim.down = false
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(bytes))
  })
})

test('a write whose second step reached few hosts is read as one: the new object or the old one, and the new one once it was seen to count', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud) => {
    const [old, fresh] = [content(SEGMENT, 1), content(SEGMENT + 5, 2)]
    await known(cloud, '/c/o', old)
    const hosts = [...cloud.hosts.values()]
    const refuse = (op: string) => {
      if (op === 'object.commit') throw new Fault('unavailable', 'the line went dead')
    }
    for (const host of hosts) host.before = refuse
    assert.equal((await known(cloud, '/c/o', fresh)).status, 503)
    for (const host of hosts) host.before = () => {}
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(old), 'no host was told: it was never acknowledged')
    for (const host of hosts.slice(1)) host.before = refuse
    assert.equal((await known(cloud, '/c/o', fresh)).status, 503)
    for (const host of hosts) host.before = () => {}
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(fresh), 'five that were not told help the one that was')
    for (const lost of losses(hosts.slice(1), 1)) {
      for (const host of lost) host.down = true
      assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(fresh))
      for (const host of lost) host.down = false
    }
  })
})

test('overwrites race: one of both is there in the end, whole', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud) => {
    for (let round = 0; round < 10; round++) {
      const bodies = [content(SEGMENT * 2 + round, round + 1), content(SEGMENT + round, round + 100), content(5 + round, round + 200)]
      const answers = await Promise.all(bodies.map((body, n) => (n === 1 ? chunked : known)(cloud, '/c/o', body)))
      assert.deepEqual(answers.map(({ status }) => [201, 202].includes(status)), [true, true, true], answers.map(({ status }) => status).join())
      const got = await cloud.bytes('/c/o')
      assert.ok(bodies.some((body) => md5(body) === md5(got.bytes)))
      const last = JSON.parse((await cloud.swift('GET', '/c?format=json')).text)[0] as { hash: string }
      assert.equal(last.hash, md5(got.bytes), 'listing and disks agree')
    }
  })
})

test('a flipped bit is never served, and a fragment that breaks off or dawdles is replaced in the middle of a body', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud) => {
    const bytes = content(40 * SEGMENT)
    await known(cloud, '/c/o', bytes)
    const [flipped, breaking, dawdling] = cloud.hosts.values()
    assert.ok(flipped !== undefined && breaking !== undefined && dawdling !== undefined)
    assert.equal(flipped.disk.flipBit('d1', (count) => Math.floor(count / 2)), true)
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(bytes))
    breaking.through = async function* (body) {
      let n = 0
      for await (const chunk of body) {
        if (n++ > 0) throw new Error('the disk died')
        yield chunk.subarray(0, 100_000)
      }
    }
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(bytes))
    breaking.through = (body) => body
    dawdling.through = async function* (body) {
      for await (const chunk of body) {
        yield chunk.subarray(0, 70_000)
        await new Promise((resolve) => setTimeout(resolve, 60_000).unref())
      }
    }
    const began = Date.now()
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(bytes))
    assert.ok(Date.now() - began < 20_000)
  })
})

test('POST, DELETE, COPY, ranges with conditions, expiry and chunked digests behave as on copies', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud) => {
    const bytes = content(SEGMENT + 9)
    await known(cloud, '/c/o', bytes, { 'x-object-meta-a': '1', 'content-type': 'a/b' })
    const hosts = [...cloud.hosts.values()]
    const [away] = hosts
    if (away !== undefined) away.down = true
    assert.equal((await cloud.swift('POST', '/c/o', { headers: { 'x-object-meta-b': '2' } })).status, 202)
    if (away !== undefined) away.down = false
    for (const lost of losses(hosts, 2)) {
      for (const host of lost) host.down = true
      const head = await cloud.swift('HEAD', '/c/o')
      assert.deepEqual([head.status, head.headers.get('x-object-meta-b'), head.headers.get('x-object-meta-a'), head.headers.get('content-type')], [200, '2', null, 'a/b'])
      for (const host of lost) host.down = false
    }
    assert.equal((await cloud.swift('COPY', '/c/o', { headers: { destination: '/c/copy' } })).status, 201)
    assert.equal(md5((await cloud.bytes('/c/copy')).bytes), md5(bytes))
    assert.equal((await cloud.swift('GET', '/c/o', { headers: { 'if-none-match': md5(bytes) } })).status, 304)
    assert.equal((await cloud.swift('DELETE', '/c/o')).status, 204)
    for (const lost of losses(hosts, 2)) {
      for (const host of lost) host.down = true
      assert.equal((await cloud.swift('GET', '/c/o')).status, 404)
      for (const host of lost) host.down = false
    }
    assert.equal((await known(cloud, '/c/o', content(5, 9))).status, 201, 'it can be written again')
    assert.equal(md5((await cloud.bytes('/c/o')).bytes), md5(content(5, 9)))
    await known(cloud, '/c/soon', content(5), { 'x-delete-at': String(Math.floor(Date.now() / 1000) + 1) })
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    assert.equal((await cloud.swift('GET', '/c/soon')).status, 404)
  })
})

test('a deletion that m hosts missed is not undone by them', async () => {
  await withCloud({ hosts: 6, data: 3, parity: 3 }, async (cloud) => {
    const hosts = [...cloud.hosts.values()]
    await known(cloud, '/c/o', content(1_000))
    for (const host of hosts.slice(0, 2)) host.down = true
    assert.equal((await cloud.swift('DELETE', '/c/o')).status, 204)
    for (const host of hosts.slice(0, 2)) host.down = false
    assert.equal((await cloud.swift('GET', '/c/o')).status, 404)
    for (const host of hosts.slice(2, 5)) host.down = true
    assert.equal((await cloud.swift('GET', '/c/o')).status, 404)
  })
})

test('with devices to spare, fragments of hosts that are away go to handoffs and are read from there', async () => {
  await withCloud({ hosts: 8, data: 4, parity: 2 }, async (cloud) => {
    await known(cloud, '/c/probe', content(10))
    const primaries = [...cloud.hosts.values()].filter(({ calls }) => calls.some(({ op }) => op === 'object.put'))
    assert.equal(primaries.length, 6)
    for (const host of primaries.slice(0, 2)) host.down = true
    const [small, large] = [content(1_000, 3), content(1_500_000, 4)]
    assert.equal((await known(cloud, '/c/probe', small)).status, 201)
    assert.equal(md5((await cloud.bytes('/c/probe')).bytes), md5(small))
    assert.equal((await chunked(cloud, '/c/probe', large)).status, 201)
    for (const host of primaries.slice(2, 4)) host.down = true
    assert.equal(md5((await cloud.bytes('/c/probe')).bytes), md5(large), 'two primaries and two handoffs')
    for (const host of primaries.slice(0, 2)) host.down = false
    assert.equal(md5((await cloud.bytes('/c/probe')).bytes), md5(large), 'what came back is old, and is not believed')
  })
})

test('large objects, versions and S3 multipart lie on fragments like anything else', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud) => {
    const parts = [content(SEGMENT + 1, 1), content(70_000, 2)]
    for (const [n, part] of parts.entries()) await known(cloud, `/c/part-${n}`, part)
    const manifest = JSON.stringify(parts.map((part, n) => ({ path: `/c/part-${n}`, etag: md5(part), size_bytes: part.byteLength })))
    assert.equal((await cloud.swift('PUT', '/c/slo?multipart-manifest=put', { body: manifest })).status, 201)
    for (const host of [...cloud.hosts.values()].slice(0, 2)) host.down = true
    assert.equal(md5((await cloud.bytes('/c/slo')).bytes), md5(Buffer.concat(parts)))
    assert.deepEqual((await cloud.bytes('/c/slo', { range: `bytes=${SEGMENT - 5}-${SEGMENT + 10}` })).bytes, new Uint8Array(Buffer.concat(parts).subarray(SEGMENT - 5, SEGMENT + 11)))
    for (const host of cloud.hosts.values()) host.down = false
    await cloud.swift('POST', '/c', { headers: { 'x-versions-enabled': 'true' } })
    const first = await known(cloud, '/c/v', content(10, 1))
    await known(cloud, '/c/v', content(11, 2))
    assert.equal(md5((await cloud.bytes(`/c/v?version-id=${first.headers.get('x-object-version-id')}`)).bytes), md5(content(10, 1)))
    assert.equal(md5((await cloud.bytes('/c/v')).bytes), md5(content(11, 2)))
  })
})

test('a reader that goes away lets all fragments go', async () => {
  await withCloud({ hosts: 6, data: 4, parity: 2 }, async (cloud) => {
    await known(cloud, '/c/o', content(30 * SEGMENT))
    const token = await cloud.token({ role: 'member' })
    const { default: worker } = await import('../../../workers/index.ts')
    const response = await worker.fetch(new Request('http://cloud.test/object-store/v1/AUTH_project-a/c/o', { headers: { 'x-auth-token': token } }) as never, cloud.env, { waitUntil: () => {} })
    const reader = (response.body as unknown as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    assert.ok(cloud.open() > 0)
    await reader.cancel()
  })
})
