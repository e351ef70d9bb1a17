/** A body that breaks off in the middle on one host goes on from another, at a door as at the plane; the client sees one body, or a broken connection where nobody has the rest. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Door } from '../../../agent/door/index.ts'
import type { ObjectDriver } from '../../../agent/drivers/object/driver.ts'
import { createFakeObjectDriver } from '../../../agent/drivers/object/fake.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { ROOT, type Site, doorsOf, exchange, site } from '../../support/door.ts'

const SIZE = 700_000
/** Bytes of an answer after which a host's disk fails, by host. */
const breaksAfter = new Map<number, number>()
const asked: number[] = []
let place: Site
let door: Door
let member = ''
const swift = (method: string, path: string, options: Parameters<typeof exchange>[3] = {}) => exchange(door.port, method, `${ROOT}${path}`, { token: member, ...options })

async function* cut(body: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Uint8Array> {
  let left = limit
  for await (const chunk of body) {
    yield chunk.subarray(0, left)
    left -= chunk.length
    if (left <= 0) throw new Fault('unavailable', 'the disk does not answer')
  }
}

function failing(n: number): ObjectDriver {
  const driver = createFakeObjectDriver({ devices: ['d1'] })
  return Object.assign(Object.create(driver) as ObjectDriver, {
    async get(...args: Parameters<ObjectDriver['get']>) {
      const { head, body } = await driver.get(...args)
      asked.push(n)
      const limit = breaksAfter.get(n)
      return { head, body: limit === undefined ? body : cut(body, limit) }
    },
  })
}

before(async () => {
  place = await site(3, { driver: failing })
  door = await doorsOf(place, 2)
  member = await place.cloud.token({ role: 'member' })
  await swift('PUT', '/c')
})
after(() => place.close())

test('the door\'s own disk, another door\'s and one behind the plane may break off one after the other', async () => {
  const body = randomBytes(SIZE / 2).toString('hex')
  assert.equal((await swift('PUT', '/c/o', { body })).status, 201)
  for (const broken of [[0], [0, 1], [0, 2], [1, 2]]) {
    breaksAfter.clear()
    for (const n of broken) breaksAfter.set(n, 100_000 + n * 7)
    asked.length = 0
    for (const [headers, wanted] of [[{}, body], [{ range: 'bytes=50000-649999' }, body.slice(50_000, 650_000)]] as const) {
      const got = await swift('GET', '/c/o', { headers })
      assert.ok(got.text === wanted, `${broken} broke off: ${got.text.length} of ${wanted.length} bytes`)
    }
    if (broken.includes(0)) assert.ok(asked.length > 2, 'others were asked for the rest')
  }
})

test('where nobody has the rest the connection breaks: nothing is made up', async () => {
  for (const n of [0, 1, 2]) breaksAfter.set(n, 100_000)
  const got = await swift('GET', '/c/o').then((reply) => reply.text.length, () => 'broken')
  assert.equal(got, 'broken')
  breaksAfter.clear()
  assert.equal((await swift('GET', '/c/o')).text.length, SIZE)
})
