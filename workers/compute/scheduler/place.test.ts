import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matches } from './filters/index.ts'
import { funnelText, place } from './place.ts'
import type { HostState, PlaceRequest } from './types.ts'

const hostOf = (change: Partial<HostState> = {}): HostState => ({
  id: 'h1', name: 'h1', up: true, disabled: false, availability_zone: 'nova', hypervisor_type: 'QEMU', arch: 'x86_64', aggregates: [],
  total: { vcpus: 16, ram_mib: 8192, disk_gib: 100 }, used: { vcpus: 0, ram_mib: 0, disk_gib: 0 }, servers: 0, ...change,
})
const requestOf = (change: Partial<PlaceRequest> = {}): PlaceRequest => ({
  consumer_id: 'c', project_id: 'p', user_id: 'u', resources: { vcpus: 1, ram_mib: 512, disk_gib: 1 }, availability_zone: null, forced_host: null, excluded_hosts: [], extra_specs: {}, image_properties: {},
  same_hosts: null, different_hosts: [], group: null, ...change,
})

const small = fc.integer({ min: 0, max: 8 })
const hosts = fc.uniqueArray(
  fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd', 'e'), up: fc.boolean(), disabled: fc.boolean(), zone: fc.constantFrom('nova', 'az2'), total: small, used: small }).map((it) =>
    hostOf({ id: it.id, name: it.id, up: it.up, disabled: it.disabled, availability_zone: it.zone, total: { vcpus: it.total, ram_mib: it.total * 512, disk_gib: it.total }, used: { vcpus: Math.min(it.used, it.total), ram_mib: 0, disk_gib: 0 } })),
  { selector: (host) => host.id },
)
const requests = fc.record({ vcpus: fc.integer({ min: 1, max: 4 }), zone: fc.constantFrom(null, 'nova', 'az2'), excluded: fc.subarray(['a', 'b', 'c']), policy: fc.constantFrom('affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity', null), members: fc.subarray(['a', 'b', 'c', 'd']) }).map((it) =>
  requestOf({ resources: { vcpus: it.vcpus, ram_mib: it.vcpus * 512, disk_gib: 1 }, availability_zone: it.zone, excluded_hosts: it.excluded, group: it.policy === null ? null : { id: 'g', policy: it.policy, host_ids: it.members, max_server_per_host: 1 } }))

test('a chosen host is up, enabled, in the zone, has the room and obeys the group', () => {
  fc.assert(
    fc.property(hosts, requests, (all, request) => {
      const { host } = place(request, all)
      if (host === null) return
      assert.ok(host.up && !host.disabled && !request.excluded_hosts.includes(host.id))
      assert.ok(request.availability_zone === null || host.availability_zone === request.availability_zone)
      assert.ok(host.used.vcpus + request.resources.vcpus <= host.total.vcpus)
      if (request.group?.policy === 'anti-affinity') assert.ok(!request.group.host_ids.includes(host.id))
      if (request.group?.policy === 'affinity' && request.group.host_ids.length > 0) assert.ok(request.group.host_ids.includes(host.id))
    }),
  )
})

test('the answer does not depend on the order of hosts, and the funnel never widens', () => {
  fc.assert(
    fc.property(hosts, requests, (all, request) => {
      const one = place(request, all)
      const other = place(request, [...all].reverse())
      assert.equal(one.host?.id, other.host?.id)
      assert.deepEqual(one.funnel, other.funnel)
      let before = all.length
      for (const step of one.funnel) {
        assert.equal(step.start, before)
        assert.ok(step.end <= step.start)
        before = step.end
      }
      assert.equal(one.host === null, before === 0)
    }),
  )
})

test('a refusal says which filter left nobody', () => {
  const answer = place(requestOf({ resources: { vcpus: 1, ram_mib: 99_999, disk_gib: 1 } }), [hostOf(), hostOf({ id: 'h2', name: 'h2', up: false })])
  assert.equal(answer.host, null)
  assert.equal(funnelText(answer.funnel), 'ComputeFilter: 2->1, MEMORY_MB: 1->0')
})

test('servers spread over equal hosts', () => {
  const used = hostOf({ used: { vcpus: 1, ram_mib: 512, disk_gib: 1 } })
  assert.equal(place(requestOf(), [used, hostOf({ id: 'h2', name: 'h2' })]).host?.id, 'h2')
})

test('extra spec operators', () => {
  assert.ok(matches('5', '>= 4') && !matches('3', '>= 4') && matches('abc', '<in> b') && matches('b', '<or> a <or> b') && !matches('c', '<or> a <or> b') && matches('x', 'x') && matches('a', 's== a') && !matches(undefined, 'a'))
})
