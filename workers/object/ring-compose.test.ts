/** Composed rings as properties: each component keeps its replicas in its own regions, no more moves than needed, and min_part_hours holds for all of them together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../schema/values/random.ts'
import { type Assignment, rebalance, type RebalanceInput, type RingDevice, UNASSIGNED } from './ring.ts'
import { checkComponents, type Component, rebalanceComposed, reportOf, componentReplicas } from './ring-compose.ts'

const PARTS = 256
const device = (id: number, region: number, host = `h${id}`, weight = 100): RingDevice => ({ id, host_id: host, device: `d${id}`, region, zone: 'z', weight })
const compose = (devices: RingDevice[], components: Component[], given: Partial<RebalanceInput> = {}) =>
  rebalanceComposed({ part_power: 8, devices, now_h: 100, min_part_hours: 1, overload: 0, random: seededRandom(7), ...given }, components)
const changes = (before: Assignment, after: Assignment): number[] => Array.from({ length: PARTS }, (_, part) => after.filter((row) => row[part] !== UNASSIGNED && !before.some((other) => other[part] === row[part])).length)

/** Two or three components, each with one or two regions and some devices in each. */
const layouts = fc.array(fc.record({ regions: fc.integer({ min: 1, max: 2 }), replicas: fc.integer({ min: 1, max: 3 }), devices: fc.integer({ min: 1, max: 5 }) }), { minLength: 2, maxLength: 3 }).map((specs) => {
  const devices: RingDevice[] = []
  let region = 0
  const components = specs.map((spec, n): Component => {
    const regions = Array.from({ length: spec.regions }, () => ++region)
    for (let d = 0; d < spec.devices; d++) devices.push(device(devices.length, regions[d % regions.length] ?? 0))
    return { name: `c${n}`, regions, replicas: spec.replicas }
  })
  return { devices, components }
})

test('every partition has as many replicas in each component as that has, in its own regions only, on different devices', () => {
  fc.assert(fc.property(layouts, ({ devices, components }) => {
    checkComponents(components)
    const { assignment } = compose(devices, components)
    assert.equal(assignment.length, componentReplicas(components))
    let from = 0
    for (const component of components) {
      const own = devices.filter(({ region }) => component.regions.includes(region))
      const rows = assignment.slice(from, from + component.replicas)
      from += component.replicas
      for (let part = 0; part < PARTS; part++) {
        const ids = rows.map((row) => row[part] ?? UNASSIGNED).filter((id) => id !== UNASSIGNED)
        assert.equal(ids.length, Math.min(component.replicas, own.length))
        assert.equal(new Set(ids).size, ids.length)
        assert.ok(ids.every((id) => own.some((one) => one.id === id)))
      }
    }
    assert.deepEqual(compose(devices, components).assignment, assignment, 'the same seed gives the same ring')
  }), { numRuns: 60 })
})

test('a change in one component moves its minimum there and nothing in any other; without a change nothing moves', () => {
  fc.assert(fc.property(fc.integer({ min: 2, max: 6 }), fc.integer({ min: 2, max: 6 }), (east, west) => {
    const components = [{ name: 'east', regions: [1], replicas: 2 }, { name: 'west', regions: [2], replicas: 1 }]
    const devices = [...Array.from({ length: east }, (_, id) => device(id, 1)), ...Array.from({ length: west }, (_, id) => device(100 + id, 2))]
    const before = compose(devices, components)
    const still = compose(devices, components, { previous: before.assignment, moved_h: before.moved_h, now_h: 200 })
    assert.equal(still.moved, 0)
    assert.deepEqual(still.assignment, before.assignment)
    const after = compose([...devices, device(99, 1)], components, { previous: before.assignment, moved_h: before.moved_h, now_h: 200 })
    const share = (PARTS * 2) / (east + 1)
    assert.ok(after.moved <= Math.ceil(share * 1.05) + 1 && after.moved >= Math.floor(share * 0.95) - 1, `${after.moved} moved for a share of ${share}`)
    assert.deepEqual(after.assignment[2], before.assignment[2], 'the west is as it was')
  }), { numRuns: 20 })
})

test('min_part_hours holds for all together: a partition moves in one component at most, and again only when it may', () => {
  fc.assert(fc.property(fc.integer({ min: 3, max: 6 }), fc.integer(), (count, seed) => {
    const components = [{ name: 'a', regions: [1], replicas: 2 }, { name: 'b', regions: [2], replicas: 2 }, { name: 'c', regions: [3], replicas: 1 }]
    const devices = [1, 2, 3].flatMap((region) => Array.from({ length: count }, (_, n) => device(region * 100 + n, region)))
    const first = compose(devices, components)
    const more = [...devices, device(150, 1), device(250, 2), device(350, 3)]
    const second = compose(more, components, { previous: first.assignment, moved_h: first.moved_h, now_h: 200, random: seededRandom(seed) })
    assert.ok(second.moved > 0)
    for (const moved of changes(first.assignment, second.assignment)) assert.ok(moved <= 1)
    const third = compose([...more, device(151, 1), device(251, 2)], components, { previous: second.assignment, moved_h: second.moved_h, now_h: 200, random: seededRandom(seed + 1) })
    for (const [part, moved] of changes(second.assignment, third.assignment).entries()) if (second.moved_h[part] === 200) assert.equal(moved, 0)
    const later = compose(more, components, { previous: second.assignment, moved_h: second.moved_h, now_h: 300, random: seededRandom(seed) })
    for (const moved of changes(second.assignment, later.assignment)) assert.ok(moved <= 1)
  }), { numRuns: 20 })
})

test('a ring that becomes a composed one, and one again, moves little more than it must', () => {
  const devices = [0, 1, 2, 3].map((id) => device(id, 1 + (id % 2)))
  const plain = rebalance({ part_power: 8, replicas: 3, devices, now_h: 100, min_part_hours: 1, overload: 0, random: seededRandom(7) })
  const components = [{ name: 'one', regions: [1], replicas: 2 }, { name: 'two', regions: [2], replicas: 1 }]
  const composed = compose(devices, components, { previous: plain.assignment, moved_h: plain.moved_h, now_h: 200 })
  const needed = Array.from({ length: PARTS }, (_, part) => {
    const here = plain.assignment.filter((row) => (row[part] ?? 0) % 2 === 0).length
    return Math.max(0, 2 - here) + Math.max(0, 1 - (3 - here))
  })
  const least = needed.reduce((sum, one) => sum + one, 0)
  const all = changes(plain.assignment, composed.assignment).reduce((sum, one) => sum + one, 0)
  assert.ok(all <= least * 1.25, `${all} changed, ${least} had to`)
  const back = rebalance({ part_power: 8, replicas: 3, devices, now_h: 300, min_part_hours: 1, overload: 0, random: seededRandom(7), previous: composed.assignment, moved_h: composed.moved_h })
  assert.ok(back.moved <= PARTS * 0.6)
})

test('what is no composition is refused, and reports are made component by component', () => {
  const one = { name: 'a', regions: [1], replicas: 1 }
  for (const bad of [[one], [one, { ...one, regions: [2] }], [one, { name: 'b', regions: [2, 1], replicas: 1 }], [one, { name: 'b', regions: [], replicas: 1 }], [one, { name: 'b', regions: [2], replicas: 1.5 }], [one, { name: 'b', regions: [2], replicas: 0 }]]) assert.throws(() => checkComponents(bad), { kind: 'bad_request' })
  const components = [{ name: 'a', regions: [1], replicas: 2 }, { name: 'b', regions: [2], replicas: 1 }]
  const devices = [device(0, 1), device(1, 1), device(2, 2, 'h2', 400), device(3, 3)]
  const { assignment } = compose(devices, components)
  const { balance, dispersion } = reportOf(assignment, devices, 3, 0, components)
  assert.deepEqual(balance.map(({ parts, wanted }) => [parts, wanted]), [[PARTS, PARTS], [PARTS, PARTS], [PARTS, PARTS], [0, 0]])
  assert.deepEqual(dispersion, { crowded: 0, region: 0, zone: 0, host: 0, short: 0 })
})
