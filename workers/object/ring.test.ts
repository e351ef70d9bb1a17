/** The ring's promises as properties: every replica placed, apart, balanced by weight, and no more moved than needed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { handoffs } from '../../schema/agent/handoffs.ts'
import { seededRandom } from '../../schema/values/random.ts'
import { type Assignment, type RebalanceInput, type RingDevice, UNASSIGNED, movedAway, rebalance } from './ring.ts'
import { balanceReport, dispersionReport } from './ring-report.ts'
import { share } from './ring-tree.ts'

const device = (id: number, host: string, zone = 'z', weight = 100): RingDevice => ({ id, host_id: host, device: `d${id}`, region: 1, zone, weight })
const build = (devices: RingDevice[], given: Partial<RebalanceInput> = {}) =>
  rebalance({ part_power: 8, replicas: 3, devices, now_h: 100, min_part_hours: 1, overload: 0, random: seededRandom(7), ...given })

const held = (assignment: Assignment, id: number) => assignment.reduce((sum, row) => sum + row.filter((one) => one === id).length, 0)
const partsOf = (assignment: Assignment) => Array.from({ length: assignment[0]?.length ?? 0 }, (_, part) => assignment.map((row) => row[part] ?? UNASSIGNED))

const layouts = fc.array(fc.record({ devices: fc.integer({ min: 1, max: 3 }), zone: fc.constantFrom('a', 'b', 'c'), weight: fc.constantFrom(50, 100, 200) }), { minLength: 1, maxLength: 7 }).map((hosts) =>
  hosts.flatMap((host, at) => Array.from({ length: host.devices }, (_, n) => device(at * 4 + n, `h${at}`, host.zone, host.weight))))

test('every partition has min(replicas, devices) different devices, and the same seed gives the same ring', () => {
  fc.assert(fc.property(layouts, fc.integer({ min: 1, max: 4 }), (devices, replicas) => {
    const ring = build(devices, { replicas })
    assert.equal(ring.assignment.length, Math.min(replicas, devices.length))
    for (const ids of partsOf(ring.assignment)) {
      assert.ok(!ids.includes(UNASSIGNED))
      assert.equal(new Set(ids).size, ids.length)
    }
    assert.deepEqual(build(devices, { replicas }).assignment, ring.assignment)
  }), { numRuns: 60 })
})

test('equal devices on enough hosts hold equal shares, and no two replicas share a host', () => {
  fc.assert(fc.property(fc.integer({ min: 3, max: 8 }), fc.integer({ min: 1, max: 3 }), (hosts, each) => {
    const devices = Array.from({ length: hosts * each }, (_, id) => device(id, `h${id % hosts}`))
    const ring = build(devices)
    const wanted = (256 * 3) / devices.length
    for (const { id } of devices) assert.ok(Math.abs(held(ring.assignment, id) - wanted) <= 2, `device ${id} holds ${held(ring.assignment, id)} of ${wanted}`)
    for (const ids of partsOf(ring.assignment)) assert.equal(new Set(ids.map((id) => id % hosts)).size, 3)
  }), { numRuns: 40 })
})

test('replicas are spread over zones', () => {
  const devices = ['a', 'a', 'b', 'b', 'c', 'c'].map((zone, id) => device(id, `h${id}`, zone))
  for (const ids of partsOf(build(devices).assignment)) assert.equal(new Set(ids.map((id) => devices[id]?.zone)).size, 3)
})

test('weights are followed where the failure domains allow it', () => {
  const devices = [device(0, 'h0', 'z', 100), device(1, 'h1', 'z', 100), device(2, 'h2', 'z', 200), device(3, 'h3', 'z', 200), device(4, 'h4', 'z', 200)]
  const ring = build(devices)
  for (const { id, weight } of devices) assert.ok(Math.abs(held(ring.assignment, id) - (768 * weight) / 800) <= 3)
})

test('overload keeps replicas apart although one host weighs more', () => {
  const devices = [device(0, 'h0', 'z', 100), device(1, 'h1', 'z', 100), device(2, 'h2', 'z', 150), device(3, 'h2', 'z', 150)]
  for (const ids of partsOf(build(devices, { overload: 10 }).assignment)) assert.equal(new Set(ids.map((id) => devices[id]?.host_id)).size, 3)
})

test('a new device takes its share and nothing else moves', () => {
  fc.assert(fc.property(fc.integer({ min: 3, max: 8 }), (count) => {
    const devices = Array.from({ length: count }, (_, id) => device(id, `h${id}`))
    const before = build(devices)
    const after = build([...devices, device(count, `h${count}`)], { previous: before.assignment, moved_h: before.moved_h, now_h: 200 })
    const share = 768 / (count + 1)
    assert.ok(after.moved <= Math.ceil(share * 1.05) + 1, `${after.moved} moved for a share of ${share}`)
    assert.ok(held(after.assignment, count) >= Math.floor(share) - Math.ceil(share * 0.05) - 1)
    let changed = 0
    for (const [replica, row] of before.assignment.entries()) for (const [part, id] of row.entries()) changed += id === after.assignment[replica]?.[part] ? 0 : 1
    assert.equal(changed, after.moved)
  }), { numRuns: 20 })
})

test('at most one replica of a partition moves at once, and none within min_part_hours', () => {
  const devices = Array.from({ length: 4 }, (_, id) => device(id, `h${id}`))
  const first = build(devices)
  const second = build([...devices, device(4, 'h4'), device(5, 'h5')], { previous: first.assignment, moved_h: first.moved_h, now_h: 200 })
  for (const [part, ids] of partsOf(second.assignment).entries()) {
    const before = first.assignment.map((row) => row[part])
    assert.ok(ids.filter((id, replica) => id !== before[replica]).length <= 1)
  }
  const third = build([...devices, device(4, 'h4'), device(5, 'h5'), device(6, 'h6')], { previous: second.assignment, moved_h: second.moved_h, now_h: 200 })
  for (const [part, ids] of partsOf(third.assignment).entries()) {
    if (second.moved_h[part] === 200) assert.deepEqual(ids, second.assignment.map((row) => row[part]))
  }
})

test('a device that is gone loses everything at once, whatever min_part_hours says', () => {
  const devices = Array.from({ length: 5 }, (_, id) => device(id, `h${id}`))
  const before = build(devices)
  const after = build(devices.slice(1), { previous: before.assignment, moved_h: before.moved_h.fill(100), now_h: 100 })
  assert.equal(held(after.assignment, 0), 0)
  assert.equal(after.moved, held(before.assignment, 0))
})

test('more replicas are added without moving the first', () => {
  const one = build([device(0, 'h0')])
  const three = build([device(0, 'h0'), device(1, 'h1'), device(2, 'h2')], { previous: one.assignment, moved_h: one.moved_h })
  assert.equal(three.assignment.length, 3)
  assert.equal(three.moved, 0)
  assert.ok(three.assignment[0]?.every((id) => id === 0))
})

test('no device, or none with weight, gives an empty ring', () => {
  assert.deepEqual(build([]).assignment, [])
  assert.deepEqual(build([device(0, 'h0', 'z', 0)]).assignment, [])
})

test('shares add up, respect caps and follow weights', () => {
  fc.assert(fc.property(fc.array(fc.record({ weight: fc.integer({ min: 1, max: 9 }), cap: fc.integer({ min: 1, max: 4 }) }), { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 5 }), (items, total) => {
    const result = share(total, items.map(({ weight }) => weight), items.map(({ cap }) => cap))
    assert.ok(Math.abs(result.reduce((a, b) => a + b, 0) - Math.min(total, items.reduce((sum, { cap }) => sum + cap, 0))) < 1e-6)
    for (const [at, value] of result.entries()) assert.ok(value <= (items[at]?.cap ?? 0) + 1e-9)
  }))
})

test('handoffs are every other device, other hosts first', () => {
  const devices = [device(0, 'a'), device(1, 'a'), device(2, 'b'), device(3, 'c')]
  const order = handoffs(devices, [devices[0] as RingDevice], 5)
  assert.equal(order.length, 3)
  assert.equal(order.at(-1)?.id, 1)
})

test('a fraction of a replica is given to that fraction of the partitions, and more or less of it moves nothing else', () => {
  const devices = Array.from({ length: 12 }, (_, n) => device(n, `h${Math.floor(n / 2)}`, `z${Math.floor(n / 4)}`))
  const half = build(devices, { replicas: 2.5 })
  assert.deepEqual(half.assignment.map((row) => row.filter((id) => id !== UNASSIGNED).length), [256, 256, 128])
  const more = build(devices, { replicas: 2.75, previous: half.assignment, moved_h: half.moved_h, now_h: 200 })
  assert.equal(more.assignment[2]?.filter((id) => id !== UNASSIGNED).length, 192)
  const report = balanceReport(more.assignment, devices)
  for (const { parts, wanted } of report) assert.ok(Math.abs(parts - wanted) <= 2, `${parts} of ${wanted}`)
  const less = build(devices, { replicas: 2, previous: more.assignment, moved_h: more.moved_h, now_h: 300 })
  assert.equal(less.assignment.length, 2)
})

test('what moved away is known, and what stayed is not named', () => {
  fc.assert(fc.property(layouts, layouts, (first, second) => {
    const a = build(first)
    const b = build(second, { previous: a.assignment, moved_h: a.moved_h, now_h: 200 })
    const away = movedAway(a.assignment, b.assignment)
    for (let part = 0; part < 256; part++) {
      const now = new Set(b.assignment.map((row) => row[part]))
      for (const row of a.assignment) {
        const id = row[part] ?? UNASSIGNED
        if (id !== UNASSIGNED) assert.equal(away.get(id)?.includes(part) ?? false, !now.has(id))
      }
    }
  }), { numRuns: 50 })
})

test('a ring of 1,000 devices and 65,536 partitions: in seconds, balanced, apart, and a change moves within 5% of the least it can', () => {
  const devices = Array.from({ length: 1_000 }, (_, n) => device(n, `h${Math.floor(n / 10)}`, `z${Math.floor(n / 100)}`, 100 + (n % 7) * 10))
  const at = { part_power: 16, overload: 0.1 }
  const began = performance.now()
  const first = build(devices, at)
  assert.ok(performance.now() - began < 20_000)
  for (const { parts, wanted } of balanceReport(first.assignment, devices)) assert.ok(Math.abs(parts - wanted) <= 1.5)
  assert.deepEqual(dispersionReport(first.assignment, devices, 3, 0.1), { crowded: 0, region: 0, zone: 0, host: 0, short: 0 })
  const zone = Array.from({ length: 100 }, (_, n) => device(2_000 + n, `new${Math.floor(n / 10)}`, 'new', 130))
  for (const next of [[...devices, device(5_000, 'h3', 'z0', 150)], devices.slice(1), [...devices, ...zone], devices.filter((one) => one.zone !== 'z4')]) {
    const start = performance.now()
    const moved = build(next, { ...at, previous: first.assignment, moved_h: first.moved_h, now_h: 500 })
    assert.ok(performance.now() - start < 20_000)
    const before = new Map(balanceReport(first.assignment, devices).map(({ id, parts }) => [id, parts]))
    const taken = balanceReport(moved.assignment, next).reduce((sum, { id, wanted }) => sum + Math.max(0, Math.floor(wanted) - (before.get(id) ?? 0)), 0)
    const homeless = devices.filter(({ id }) => !next.some((one) => one.id === id)).reduce((sum, { id }) => sum + (before.get(id) ?? 0), 0)
    const least = Math.max(taken, homeless)
    assert.ok(moved.moved <= Math.ceil(least * 1.05) + 2, `${moved.moved} moved, ${least} had to`)
    for (const { parts, wanted } of balanceReport(moved.assignment, next)) assert.ok(Math.abs(parts - wanted) <= 3, `${parts} of ${wanted}`)
  }
})
