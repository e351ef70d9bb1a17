import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type DesiredItem, KIND_ORDER, type Kind } from '../schema/agent/desired.ts'
import type { MachineState } from './drivers/hypervisor/driver.ts'
import { type Action, type Actual, emptyActual, isThere, newProgress, orphans, plan, type Progress, powerAgrees, runnable, statusOf } from './plan.ts'
import { absent, networkItem, portItem, serverItem, volumeDisk, volumeItem } from './sim/samples.ts'
import { keyOf } from './state.ts'

type Desired = Record<string, DesiredItem>
const keyed = (items: DesiredItem[]): Desired => Object.fromEntries(items.map((item) => [keyOf(item.kind, item.id), item]))

const snapshotItem = (id: string, volume_id: string): DesiredItem<'snapshot'> => ({ kind: 'snapshot', id, project_id: 'p1', generation: 1, state: 'present', spec: { volume_id } })
const exportItem = (id: string, volume_id: string): DesiredItem<'export'> => ({ kind: 'export', id, project_id: 'p1', generation: 1, state: 'present', spec: { volume_id, iqn: `iqn:${volume_id}`, lun: 1, chap_user: 'u', chap_secret: 's' } })
const routerItem = (id: string, network_id: string): DesiredItem<'router'> => ({
  kind: 'router', id, project_id: 'p1', generation: 1, state: 'present', spec: { admin_state_up: true, interfaces: [{ port_id: `${id}-p`, network_id, mac_address: 'fa:16:3e:00:00:09', fixed_ips: [] }], gateway: null, floating_ips: [], routes: [] },
})

const number = fc.nat(2)
/** A host's wishes: two or three of each kind, referring to each other at random. */
const wishes: fc.Arbitrary<DesiredItem[]> = fc.tuple(
  fc.array(number), fc.array(fc.tuple(number, number, fc.boolean())), fc.array(fc.tuple(number, number)), fc.array(number), fc.array(fc.tuple(number, number)), fc.array(fc.tuple(number, number)),
  fc.array(fc.tuple(number, fc.array(number, { maxLength: 2 }), fc.array(number, { maxLength: 2 }), fc.constantFrom('on' as const, 'off' as const, 'paused' as const))), fc.array(fc.nat(30)),
).map(([networks, ports, routers, volumes, snapshots, exports, servers, gone]) => {
  const items = [
    ...networks.map((n) => networkItem(`n${n}`)), ...ports.map(([p, n, own]) => portItem(`p${p}`, `n${n}`, own ? `s${p}` : null)), ...routers.map(([r, n]) => routerItem(`r${r}`, `n${n}`)), ...volumes.map((n) => volumeItem(`v${n}`)),
    ...snapshots.map(([s, n]) => snapshotItem(`x${s}`, `v${n}`)), ...exports.map(([e, n]) => exportItem(`e${e}`, `v${n}`)),
    ...servers.map(([s, disks, nics, power]) => serverItem(`s${s}`, 1, { power, disks: [...new Set(disks)].map((n) => volumeDisk(`v${n}`)), nics: [...new Set(nics)].map((n) => ({ port_id: `p${n}`, mac_address: 'fa:16:3e:00:00:01', mtu: 1450 })) })),
  ]
  const unique = Object.values(keyed(items))
  return unique.map((item, index) => (gone.includes(index) ? absent(item) : item))
})

const machineOf = (item: DesiredItem<'server'>): MachineState => ({
  id: item.id, power: item.spec.power === 'on' ? 'running' : item.spec.power === 'off' ? 'shutdown' : item.spec.power, generation: item.generation, incarnation: 1, root_generation: 1, guest_shutdown: false,
  disks: item.spec.disks.map(({ id, serial }) => ({ id, serial })), nics: item.spec.nics.map(({ port_id, mac_address }) => ({ port_id, mac_address })),
})

/** Makes an action true, as the drivers would. */
function perform(action: Action, desired: Desired, actual: Actual, progress: Map<string, Progress>): void {
  const item = desired[action.key]
  assert.ok(item)
  const sets: Record<Kind, Set<string> | Map<string, unknown>> = { network: actual.networks, port: actual.ports, router: actual.routers, volume: actual.volumes, snapshot: actual.snapshots, export: actual.exports, server: actual.servers }
  if (action.op === 'remove') sets[action.kind].delete(action.id)
  else if (action.kind === 'server') actual.servers.set(action.id, machineOf(item as DesiredItem<'server'>))
  else if (action.kind === 'volume' || action.kind === 'snapshot') (sets[action.kind] as Map<string, number>).set(action.id, 1024 ** 3)
  else (sets[action.kind] as Set<string>).add(action.id)
  progress.set(action.key, { ...newProgress(), generation: item.generation, tried: item.generation })
}

/** Runs until nothing may run; calls back before each action. */
function converge(desired: Desired, actual: Actual, each: (action: Action) => void = () => {}): Action[] {
  const progress = new Map<string, Progress>()
  for (let round = 0; round < 500; round++) {
    const actions = plan({ desired, actual, progress })
    const [action] = runnable(actions, new Set(), 0)
    if (!action) return actions
    each(action)
    perform(action, desired, actual, progress)
  }
  assert.fail('it does not converge')
}

test('a plan ends, and what is left is held by something that is said', () => {
  fc.assert(fc.property(wishes, (items) => {
    const left = converge(keyed(items), emptyActual())
    const names = new Set(left.map((action) => action.key))
    for (const action of left) assert.ok(action.blocked !== null || action.needs.some((need) => names.has(need)), action.key)
    const chain = (action: Action, seen: string[]): boolean => action.blocked !== null || action.needs.some((need) => !seen.includes(need) && left.some((other) => other.key === need && chain(other, [...seen, need])))
    for (const action of left) assert.ok(chain(action, [action.key]), `${action.key} waits in a circle`)
  }))
})

/** Things that all other things of `wishes` can refer to. */
const ground = [0, 1, 2].flatMap((n) => [networkItem(`n${n}`), portItem(`p${n}`, `n${n}`, null), volumeItem(`v${n}`)])

test('with everything present nothing is left, and a second plan is empty', () => {
  fc.assert(fc.property(wishes, (items) => {
    const desired = keyed([...ground, ...items].map((item) => ({ ...item, state: 'present' as const })))
    assert.deepEqual(converge(desired, emptyActual()), [])
    assert.ok(Object.values(desired).every((item) => item.state === 'present'))
  }))
})

test('nothing is made before what it rests on, nor removed before what rests on it', () => {
  fc.assert(fc.property(wishes, (items) => {
    const desired = keyed(items)
    const actual = emptyActual()
    for (const item of items) perform({ op: 'ensure', kind: item.kind, id: item.id, key: keyOf(item.kind, item.id) } as Action, desired, actual, new Map())
    const order: string[] = []
    converge(desired, actual, (action) => {
      const item = desired[action.key]
      if (action.op === 'remove' && item?.kind === 'volume') for (const state of actual.servers.values()) assert.ok(!state.disks.some((disk) => disk.id === item.id), 'a volume in use was removed')
      if (action.op === 'remove' && item?.kind === 'port') for (const state of actual.servers.values()) assert.ok(!state.nics.some((nic) => nic.port_id === item.id), 'a port in use was removed')
      if (action.op === 'remove' && item?.kind === 'network') for (const port of Object.values(desired)) if (port.kind === 'port' && (port as DesiredItem<'port'>).spec.network_id === item.id) assert.ok(!actual.ports.has(port.id), 'a network with ports was removed')
      order.push(action.key)
    })
    assert.equal(new Set(order).size, order.length, 'an action ran twice')
  }))
})

test('only what is absent by order is ever removed', () => {
  fc.assert(fc.property(wishes, wishes, (items, others) => {
    const desired = keyed(items)
    const actual = emptyActual()
    const there = keyed(others)
    for (const item of others) perform({ op: 'ensure', kind: item.kind, id: item.id, key: keyOf(item.kind, item.id) } as Action, there, actual, new Map())
    converge(desired, actual, (action) => {
      if (action.op === 'remove') assert.equal(desired[action.key]?.state, 'absent')
    })
    for (const item of others) if (!desired[keyOf(item.kind, item.id)]) assert.ok(isThere(item.kind, item.id, actual), `${item.kind} ${item.id} was taken away`)
    const reported = new Set(orphans({ desired, actual, progress: new Map() }).map((item) => keyOf(item.kind, item.id)))
    for (const key of reported) assert.equal(desired[key], undefined)
  }))
})

test('a failed item waits for its time and holds up only what rests on it', () => {
  const desired = keyed([networkItem('n1'), portItem('p1', 'n1', null), volumeItem('v1')])
  const progress = new Map([[keyOf('network', 'n1'), { ...newProgress(), tried: 1, failures: 4, next_at_ms: 1_000, error: 'no switch' }]])
  const input = { desired, actual: emptyActual(), progress }
  const actions = plan(input)
  assert.deepEqual(runnable(actions, new Set(), 0).map((action) => action.key), ['volume/v1'])
  assert.deepEqual(runnable(actions, new Set(), 1_000).map((action) => action.key), ['network/n1', 'volume/v1'])
  const byKey = new Map(actions.map((action) => [action.key, action]))
  const port = statusOf(portItem('p1', 'n1', null), input, byKey)
  assert.equal(port.status, 'failed')
  assert.match(port.error ?? '', /network\/n1: no switch/)
})

test('what rests on something that nobody has spoken of waits for it', () => {
  const [action] = plan({ desired: keyed([portItem('p1', 'n1', null)]), actual: emptyActual(), progress: new Map() })
  assert.equal(action?.blocked, 'network/n1 is not here yet')
})

test('a newer generation forgets the failures of the older', () => {
  const progress = new Map([[keyOf('volume', 'v1'), { ...newProgress(), tried: 1, failures: 9, next_at_ms: 9_000, error: 'full' }]])
  const [action] = plan({ desired: keyed([volumeItem('v1', 2)]), actual: emptyActual(), progress })
  assert.equal(action?.due_at_ms, 0)
})

test('a guest that shut itself down agrees with any power, a crashed one does not', () => {
  const item = serverItem('s1')
  assert.equal(powerAgrees(item.spec, { ...machineOf(item), power: 'shutdown', guest_shutdown: true }), true)
  assert.equal(powerAgrees(item.spec, { ...machineOf(item), power: 'crashed' }), false)
  assert.equal(powerAgrees(item.spec, { ...machineOf(item), power: 'shutdown' }), false)
})

test('kinds are made in their order and removed in the reverse', () => {
  const made = [networkItem('n1'), portItem('p1', 'n1', 's1'), volumeItem('v1'), serverItem('s1', 1, { disks: [volumeDisk('v1')], nics: [{ port_id: 'p1', mac_address: 'fa:16:3e:00:00:01', mtu: 1450 }] })]
  const order: string[] = []
  const actual = emptyActual()
  converge(keyed(made), actual, (action) => order.push(action.kind))
  assert.deepEqual(order, KIND_ORDER.filter((kind) => order.includes(kind)))
  const back: string[] = []
  converge(keyed(made.map((item) => absent(item))), actual, (action) => back.push(action.kind))
  assert.deepEqual(back, [...order].reverse())
})
