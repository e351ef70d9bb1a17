/** A listing in several objects: split while it is written to, joined when it shrinks, exact and in order whatever is asked, through crashes at any step; counts hold; empty, it goes as one. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { ACCOUNT, type ObjectCloud, objectCloud } from './cloud.ts'

const THRESHOLD = 50
let cloud: ObjectCloud
afterEach(() => cloud.close())

async function start(hop: (where: string) => Promise<void> = async () => {}): Promise<void> {
  cloud = await objectCloud({ hop })
  cloud.env.OPTIONS = JSON.stringify({ swift: { shard_container_threshold: THRESHOLD } })
  await cloud.swift('PUT', '/c')
}

const KEY = `${ACCOUNT}/c`
const root = () => cloud.cluster.instance('CONTAINER', KEY)
const parts = (): { id: string; low: string; high: string | null }[] => {
  const rows = root().deps.storage.sql.exec('SELECT id, low FROM shards WHERE low IS NOT NULL ORDER BY low').toArray() as { id: string; low: string }[]
  return rows.map((row, at) => ({ ...row, high: rows[at + 1]?.low ?? null }))
}
const moving = () => root().deps.storage.sql.exec('SELECT id FROM shards WHERE source IS NOT NULL').toArray().length > 0
/** Names of one part as its own table holds them. */
const held = (id: string): string[] => cloud.cluster.instance('CONTAINER', id === '' ? KEY : `${KEY}\0${id}`).deps.storage.sql.exec('SELECT name FROM objects ORDER BY name').toArray().map((row: { name: string }) => row.name)
const put = async (name: string, body = 'x') => assert.equal((await cloud.swift('PUT', `/c/${encodeURIComponent(name)}`, { body })).status, 201, name)
const names = async (query = '') => (await cloud.swift('GET', `/c${query}`)).text.split('\n').filter((one) => one !== '')
const sorted = (list: Iterable<string>) => [...list].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

async function settled(): Promise<void> {
  for (let n = 0; n < 500; n++) {
    const over = cloud.cluster.instance('CONTAINER', KEY).deps.storage.sql.exec('SELECT object_count FROM shards WHERE object_count > ?', THRESHOLD).toArray()
    if (parts().length > 1 && !moving() && over.length === 0) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.fail('the split does not end')
}

/** Each name is in the one part whose range has it, and no part is too large. */
function checkParts(model: Iterable<string>): void {
  const all: string[] = []
  for (const { id, low, high } of parts()) {
    const own = held(id)
    assert.ok(own.length <= THRESHOLD, `${own.length} in one part`)
    for (const name of own) assert.ok(Buffer.compare(Buffer.from(name), Buffer.from(low)) >= 0 && (high === null || Buffer.compare(Buffer.from(name), Buffer.from(high)) < 0), `${name} is outside [${low}, ${high})`)
    all.push(...own)
  }
  assert.deepEqual(all, sorted(model))
}

test('a container past its threshold is split; listings, counts, reads and deletions are as before', async () => {
  await start()
  const model = new Set<string>()
  for (let n = 0; n < 230; n++) {
    const name = `${['a', 'b/', 'b/x/', 'é', '\u{1f600}'][n % 5]}${String((n * 7919) % 1000).padStart(3, '0')}`
    await put(name, 'y'.repeat(n % 7))
    model.add(name)
  }
  await settled()
  assert.ok(parts().length >= 5, `${parts().length} parts`)
  checkParts(model)
  assert.deepEqual(await names(), sorted(model))
  assert.deepEqual(await names('?reverse=true'), sorted(model).reverse())
  const paged: string[] = []
  for (;;) {
    const page = await names(`?limit=17&marker=${encodeURIComponent(paged.at(-1) ?? '')}`)
    if (page.length === 0) break
    paged.push(...page)
  }
  assert.deepEqual(paged, sorted(model))
  assert.deepEqual(await names('?delimiter=/'), sorted(new Set([...model].map((name) => (name.includes('/') ? 'b/' : name)))))
  assert.deepEqual(await names('?prefix=b/&delimiter=/'), sorted(new Set([...model].filter((name) => name.startsWith('b/')).map((name) => (name.startsWith('b/x/') ? 'b/x/' : name)))))
  assert.deepEqual(await names('?prefix=b/x/&end_marker=b/x/5'), sorted([...model].filter((name) => name.startsWith('b/x/') && name < 'b/x/5')))
  const head = (await cloud.swift('HEAD', '/c')).headers
  assert.deepEqual([head.get('x-container-object-count'), head.get('x-container-bytes-used')], [String(model.size), String((await cloud.swift('GET', '/c?format=json')).body.reduce((sum: number, row: { bytes: number }) => sum + row.bytes, 0))])
  // The account hears of many changes a moment later.
  const counted = async () => (await cloud.swift('HEAD', '')).headers.get('x-account-object-count')
  for (let wait = 0; wait < 100 && (await counted()) !== String(model.size); wait++) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(await counted(), String(model.size))
  await put('a007', 'again')
  assert.equal((await cloud.swift('GET', '/c/a007')).text, 'again')
  assert.equal((await cloud.swift('DELETE', '/c')).status, 409)
  for (const name of model) assert.equal((await cloud.swift('DELETE', `/c/${encodeURIComponent(name)}`)).status, name === 'a007' || model.has(name) ? 204 : 404)
  await cloud.swift('DELETE', '/c/a007')
  assert.deepEqual(await names(), [])
  assert.equal((await cloud.swift('DELETE', '/c')).status, 204)
  assert.equal((await cloud.swift('PUT', '/c')).status, 201)
  assert.deepEqual([await names(), parts()], [[], []])
})

test('splitting goes on under writes, and after crashes of the container and its parts, without losing or doubling a name', async () => {
  await start()
  const model = new Map<string, string>()
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor(seed / 65_536) % below
  }
  for (let round = 0; round < 40; round++) {
    await Promise.all(Array.from({ length: 8 }, async () => {
      const name = `o${random(400)}`
      const isPut = random(5) > 0
      // Two writers of one name at once would not say which was last.
      if (model.get(name) === 'busy') return
      const before = model.get(name)
      model.set(name, 'busy')
      const body = `v${round}`
      const answer = isPut ? await cloud.swift('PUT', `/c/${name}`, { body }) : await cloud.swift('DELETE', `/c/${name}`)
      assert.ok([201, 204, 404].includes(answer.status), String(answer.status))
      if (isPut) model.set(name, body)
      else model.delete(name)
      if (!isPut) assert.equal(answer.status, before === undefined ? 404 : 204, `${name} was ${before}`)
    }))
    if (round % 5 === 4) {
      cloud.cluster.crash('CONTAINER', KEY)
      const some = parts().find((one) => one.id !== '')
      if (some !== undefined) cloud.cluster.crash('CONTAINER', `${KEY}\0${some.id}`)
      root()
    }
    assert.deepEqual(await names(), sorted(model.keys()), `round ${round}`)
  }
  await settled()
  assert.ok(parts().length >= 3, `${parts().length} parts`)
  checkParts(model.keys())
  assert.equal((await cloud.swift('HEAD', '/c')).headers.get('x-container-object-count'), String(model.size))
})

test('versions, posts, expiry and metadata reach the part that has the name', async () => {
  await start()
  await cloud.swift('POST', '/c', { headers: { 'x-versions-enabled': 'true' } })
  for (let n = 0; n < 120; n++) await put(`k${String(n).padStart(3, '0')}`)
  await settled()
  assert.ok(parts().length >= 2)
  await put('k000', 'second')
  await put('k119', 'second')
  await cloud.swift('DELETE', '/c/k119')
  const history = (await cloud.swift('GET', '/c?versions')).body as { name: string; version_id: string; is_latest: boolean; hash: string }[]
  assert.equal(history.length, 123)
  assert.deepEqual(history.filter((row) => row.name === 'k119').map((row) => row.is_latest), [true, false, false])
  const paged: unknown[] = []
  for (let at = ''; ; ) {
    const page = (await cloud.swift('GET', `/c?versions&limit=20${at}`)).body as typeof history
    const last = page.at(-1)
    if (last === undefined) break
    paged.push(...page)
    at = `&marker=${last.name}&version_marker=${last.version_id}`
  }
  assert.deepEqual(paged, history)
  const old = history.filter((row) => row.name === 'k119').at(-1)
  assert.equal((await cloud.swift('GET', `/c/k119?version-id=${old?.version_id}`)).text, 'x')
  assert.equal((await cloud.swift('PUT', `/c/k119?version-id=${old?.version_id}`, { headers: { 'content-length': '0' } })).status, 201)
  assert.equal((await cloud.swift('GET', '/c/k119')).text, 'x')
  assert.equal((await cloud.swift('POST', '/c/k119', { headers: { 'content-type': 'text/new' } })).status, 202)
  assert.equal((await cloud.swift('GET', '/c?format=json&prefix=k119')).body[0].content_type, 'text/new')
  await cloud.swift('POST', '/c', { headers: { 'x-versions-enabled': 'false' } })
  await put('k119', 'null version')
  await put('k118', 'soon gone')
  assert.equal((await cloud.swift('POST', '/c/k118', { headers: { 'x-delete-after': '1' } })).status, 202)
  await new Promise((resolve) => setTimeout(resolve, 1_300))
  assert.equal((await cloud.swift('GET', '/c?prefix=k118')).text, '')
  assert.deepEqual((await cloud.swift('GET', '/c?versions&prefix=k119')).body.map((row: { version_id: string }) => row.version_id === 'null'), [true, false, false, false])
})

test('what disks have and the listing lost is entered in the part whose name it is, once; the container\'s word comes from there too', async () => {
  await start()
  const model: string[] = []
  for (let n = 0; n < 120; n++) {
    const name = `n${String(n).padStart(3, '0')}`
    await put(name)
    model.push(name)
  }
  await settled()
  const lost = ['n001', 'n060', 'n118']
  const rows = await Promise.all(lost.map(async (name) => await root().object(name)))
  for (const name of lost) for (const { id } of parts()) cloud.cluster.instance('CONTAINER', id === '' ? KEY : `${KEY}\0${id}`).deps.storage.sql.exec('DELETE FROM objects WHERE name = ?', name)
  assert.equal((await names()).length, model.length - lost.length)
  const found = rows.map((row) => ({ kind: 'data', row }))
  assert.equal(await root().reconcile(found), lost.length)
  assert.equal(await root().reconcile(found), 0, 'what is right is left alone')
  assert.deepEqual(await names(), model)
  checkParts(model)
  for (const row of rows) assert.equal((await root().word(row.name)).at, row.at)
  assert.equal((await root().word('never'))?.at ?? null, null)
})

// ---------------------------------------------------------------- joining

/** As a write does it, without its bytes. */
const enter = (name: string, at: string) => root().putObject({ name, at, modified_at: at, size: 3, etag: 'e', content_type: 'a/b', delete_at: null, slo_etag: null, slo_size: null, version: '', extra: null })
const stamp = (n: number): string => `${1_700_000_000 + n}.00000`
const shardRows = (): unknown[] => root().deps.storage.sql.exec('SELECT id FROM shards').toArray()

async function joined(): Promise<void> {
  for (let n = 0; n < 1_000; n++) {
    if (shardRows().length === 0) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.fail(`the parts are not joined: ${JSON.stringify(root().deps.storage.sql.exec('SELECT * FROM shards').toArray())}`)
}

test('parts that have become small are joined while they are read and written, and in the end the container is one again', async () => {
  await start()
  const model = new Set<string>()
  for (let n = 0; n < 300; n++) {
    const name = `n${String((n * 7919) % 1000).padStart(3, '0')}`
    assert.ok(await enter(name, stamp(n)))
    model.add(name)
  }
  await settled()
  const most = parts().length
  assert.ok(most >= 6, `${most} parts`)
  let fewer = false
  let gone = ''
  for (const [n, name] of [...model].entries()) {
    if (n % 40 === 0) continue
    assert.ok(await root().deleteObject(name, stamp(1_000 + n)))
    model.delete(name)
    gone = name
    if (n % 10 !== 1) continue
    assert.deepEqual(await names(), sorted(model))
    fewer ||= parts().length > 0 && parts().length < most
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  assert.ok(fewer, 'some were joined on the way')
  await joined()
  assert.deepEqual(held(''), sorted(model))
  assert.deepEqual(await names(), sorted(model))
  assert.deepEqual(await names('?reverse=true'), sorted(model).reverse())
  const { headers } = await cloud.swift('HEAD', '/c')
  assert.deepEqual([headers.get('x-container-object-count'), headers.get('x-container-bytes-used')], [String(model.size), String(model.size * 3)])
  assert.equal(await enter([...model][1] ?? '', stamp(0)), false, 'times came along')
  assert.equal(await enter(gone, stamp(999)), false, 'and tombstones')
  for (let n = 0; n < 120; n++) {
    await enter(`z${n}`, stamp(2_000 + n))
    model.add(`z${n}`)
  }
  await settled()
  checkParts(model)
  assert.deepEqual(await names(), sorted(model))
})

test('a join that is killed at any of its steps loses and doubles nothing', async () => {
  let left = Number.POSITIVE_INFINITY
  let [killed, steps] = [0, 0]
  await start(async (where) => {
    const call = /^!?CONTAINER\/([^.]+)\.(edgeBatch|replaceRange|dropFrom|abandon)( answered)?$/.exec(where)
    if (call === null || !isJoining()) return
    steps++
    if (left-- !== 0) return
    killed++
    cloud.cluster.crash('CONTAINER', KEY)
    if (killed % 2 === 0) cloud.cluster.crash('CONTAINER', call[1] ?? '')
    throw new Error('killed')
  })
  const isJoining = (): boolean => root().deps.storage.sql.exec('SELECT id FROM shards WHERE joins IS NOT NULL').toArray().length > 0
  let at = 0
  for (let step = 0; step < 200; step++) {
    const model = new Set<string>()
    for (let n = 0; n < 130; n++) {
      await enter(`o${String(n).padStart(3, '0')}`, stamp(++at))
      model.add(`o${String(n).padStart(3, '0')}`)
    }
    await settled()
    left = step
    steps = 0
    for (const [n, name] of [...model].entries()) {
      if (n % 11 === 0) continue
      await root().deleteObject(name, stamp(++at))
      model.delete(name)
    }
    const before = killed
    for (let n = 0; n < 300 && shardRows().length > 0 && killed === before; n++) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.deepEqual(await names(), sorted(model), `step ${step}`)
    left = Number.POSITIVE_INFINITY
    await joined()
    assert.deepEqual(held(''), sorted(model), `step ${step}`)
    assert.equal((await cloud.swift('HEAD', '/c')).headers.get('x-container-object-count'), String(model.size), `step ${step}`)
    for (const name of model) await root().deleteObject(name, stamp(++at))
    if (killed === before) {
      assert.ok(step >= 12, `a join has more than ${step} steps`)
      return
    }
  }
  assert.fail(`there is no end of steps: ${steps}`)
})
