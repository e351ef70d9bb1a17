import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { HostRow } from '../../agents/hosts/store.ts'
import { type Backend, explain, PLACE_DEFAULTS, type PlaceRequest, place } from './place.ts'

const host = (name: string, over: Partial<HostRow> = {}): HostRow => ({ id: name, name, facts: null, up: true, seen_ms: 0, joined_ms: 0, updated_ms: 0, availability_zone: 'nova', disabled: false, disabled_reason: null, forced_down: false, ...over } as HostRow)
const backend = (name: string, over: Partial<Backend> = {}, hostOver: Partial<HostRow> = {}): Backend => ({ host: host(name, hostOver), driver: 'file', pool: 'p', total_gib: 100, free_gib: 50, provisioned_gib: 0, volumes: 0, disabled: false, ...over })
const request = (over: Partial<PlaceRequest> = {}): PlaceRequest => ({ volume_id: 'v', project_id: 'p', size_gib: 1, extra_specs: {}, availability_zone: null, host_id: null, same_host: null, different_host: [], ...over })

test('the active host with the fewest volumes; by capacity when asked', () => {
  const backends = [backend('a', { volumes: 3 }), backend('b', { volumes: 1, provisioned_gib: 900 }), backend('c', { volumes: 0 }, { up: false })]
  assert.equal(place(request(), backends, PLACE_DEFAULTS).chosen?.host.id, 'b')
  assert.equal(place(request(), backends, { ...PLACE_DEFAULTS, weigher: 'capacity' }).chosen?.host.id, 'a')
})

test('each filter does its work and the funnel says which left nothing', () => {
  const backends = [backend('a'), backend('b', {}, { availability_zone: 'east' })]
  const cases: [Partial<PlaceRequest>, string][] = [
    [{ availability_zone: 'mars' }, 'AvailabilityZoneFilter 2 -> 0'], [{ host_id: 'z' }, 'SourceHostFilter 2 -> 0'], [{ extra_specs: { vendor_name: 'x' } }, 'CapabilitiesFilter 2 -> 0'], [{ size_gib: 5_000 }, 'CapacityFilter 2 -> 0'],
    [{ same_host: [] }, 'SameBackendFilter 2 -> 0'], [{ different_host: ['a', 'b'] }, 'DifferentBackendFilter 2 -> 0'],
  ]
  for (const [over, words] of cases) {
    const { chosen, funnel } = place(request(over), backends, PLACE_DEFAULTS)
    assert.equal(chosen, null)
    assert.ok(explain(funnel).includes(words), explain(funnel))
  }
  assert.equal(place(request({ extra_specs: { volume_backend_name: 'FILE', 'capabilities:storage_protocol': 'iscsi', 'hw:x': '1' } }), backends, PLACE_DEFAULTS).chosen?.host.id, 'a')
})

test('what is chosen was offered, fits, and the choice does not hang on the order', () => {
  const some = fc.array(fc.record({ volumes: fc.nat(5), provisioned: fc.nat(3_000), up: fc.boolean(), free: fc.nat(5) }), { maxLength: 6 })
  fc.assert(fc.property(some, fc.integer({ min: 1, max: 500 }), (list, size_gib) => {
    const backends = list.map(({ volumes, provisioned, up, free }, i) => backend(`h${i}`, { volumes, provisioned_gib: provisioned, free_gib: free }, { up }))
    const { chosen, funnel } = place(request({ size_gib }), backends, PLACE_DEFAULTS)
    const again = place(request({ size_gib }), [...backends].reverse(), PLACE_DEFAULTS).chosen
    assert.equal(chosen?.host.id, again?.host.id)
    if (chosen === null) assert.equal(funnel.at(-1)?.end, 0)
    else assert.ok(chosen.host.up && chosen.free_gib > 0 && chosen.provisioned_gib + size_gib <= 2_000)
  }))
})
