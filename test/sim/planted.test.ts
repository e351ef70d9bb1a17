/**
 * A planted violation of each invariant is found, by its name and for the thing it is about, and nothing else is. Rows are planted inside a transaction that is rolled
 * back, disks of simulated hosts by hand; both looks are within one moment, so that nothing has time to heal. What needs an agent or the API runs in virtual time.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Deps } from '../../durable-objects/kernel/deps.ts'
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { Violation } from '../../durable-objects/kernel/violation.ts'
import type { VerifyReport } from '../../workers/agents/verify/verify.ts'
import { locate } from '../../workers/object/placement.ts'
import { timestampOf } from '../../workers/object/timestamp.ts'
import type { Answer } from '../support/cloud.ts'
import { converged, quiet, safety } from './invariants.ts'
import { Model, prepare } from './operations.ts'
import { SimCloud } from './simcloud.ts'

const TENANT = 'project-a'
const OBJECT = `/object-store/v1/AUTH_${TENANT}/c/kept`
const QUIET_LIMIT_MS = 15 * 60_000
/** Longer than an agent waits between two looks at its host. */
const AUDITED_MS = 130_000
/** More than the grace that verify gives to deadlines. */
const LONG_AGO_MS = 5 * 60_000

let sim: SimCloud
const model = new Model()
/** Ids of what the tenant has. */
const its = { server: '', other: '', volume: '', spare: '', attachment: '', port: '', second: '', nic: '', fip: '', network: '', subnet: '', router: '' }
/** Where the server is, and a host where it is not. */
let home = 0
const away = () => (home + 1) % 3

const depsOf = (kind: string, id: string): Deps => (sim.cluster.instance(kind, id) as { deps: Deps }).deps
const project = () => depsOf('PROJECT', TENANT)
const region = () => depsOf('REGION', 'region')
const host = (n: number) => depsOf('HOST', sim.hostIds[n] ?? '')
const rows = (deps: Deps, query: string, ...bindings: unknown[]) => deps.storage.sql.exec(query, ...bindings).toArray() as Record<string, unknown>[]

const machineOf = (n: number, id: string) => {
  const machine = sim.hosts[n]?.disk.hypervisor.get(id)
  assert.ok(machine, `server ${id} is not on the disk of host ${n}`)
  return machine
}

/** All that can be seen in one moment. Projects are asked past the memory that safety() keeps of versions: a rollback does not take a version back. */
function look(): Violation[] {
  const projects = sim.cluster.objects().filter(({ kind }) => kind === 'PROJECT').flatMap(({ id }) => sim.cluster.instance('PROJECT', id).verify() as Violation[])
  return [...safety(sim), ...projects, ...converged(sim)]
}
const nameOf = ({ invariant, resource }: Violation) => `${invariant}: ${resource}`
const namesOf = (violations: readonly Violation[]) => [...new Set(violations.map(nameOf))].sort()

interface Plant {
  /** Whose rows are planted; they come back by a rollback. */
  rows?: () => Deps
  do: (deps: Deps) => void
  undo?: () => void
  /** All that is to be found: 'invariant: resource'. */
  expect: () => string[]
  message?: RegExp
}

/** Thrown to roll back. */
class Over extends Error {}

function plant(name: string, { rows: owner, do: deed, undo, expect, message }: Plant): void {
  test(`${name} is found`, () => {
    assert.deepEqual(look(), [], 'the cloud is not sound before')
    let found: Violation[] = []
    const deps = owner?.() ?? project()
    try {
      deps.storage.transactionSync(() => {
        deed(deps)
        found = look()
        throw new Over()
      })
    } catch (error) {
      if (!(error instanceof Over)) throw error
    } finally {
      undo?.()
    }
    assert.deepEqual(namesOf(found), [...new Set(expect())].sort(), JSON.stringify(found, null, 1))
    if (message !== undefined) assert.ok(found.some((one) => message.test(one.message)), JSON.stringify(found, null, 1))
    assert.deepEqual(look(), [], 'the cloud is not sound after')
  })
}

/** One statement that must have changed something, else nothing was planted. */
function change(deps: Deps, query: string, ...bindings: unknown[]): void {
  const count = () => Number(rows(deps, 'SELECT total_changes() AS n')[0]?.n)
  const earlier = count()
  deps.storage.sql.exec(query, ...bindings)
  assert.ok(count() > earlier, `nothing was changed by: ${query}`)
}

/** What a host says of an item, as its agent would report it. */
function observe(deps: Deps, id: string, more: Record<string, unknown>): void {
  const [row] = rows(deps, "SELECT item FROM observed WHERE kind = 'server' AND id = ?", id)
  const item = { kind: 'server', id, generation: 0, status: 'ready', power: 'running', ...(row === undefined ? { orphan: true } : JSON.parse(String(row.item))), ...more }
  change(deps, 'INSERT INTO observed (kind, id, generation, item, folded) VALUES (?, ?, ?, ?, 1) ON CONFLICT (kind, id) DO UPDATE SET item = excluded.item', 'server', id, item.generation, JSON.stringify(item))
}

async function must(tenant: string, method: string, path: string, json?: unknown, options: { body?: BodyInit } = {}): Promise<Answer> {
  const answer = await sim.finish(sim.call(tenant, method, path, json, options))
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`)
  return answer
}

const verify = async (): Promise<VerifyReport> => (await must('admin', 'GET', '/agents/v1/verify')).body

async function settle(): Promise<void> {
  for (let waited = 0; waited < QUIET_LIMIT_MS; waited += 5_000) {
    await sim.run(5_000)
    if (quiet(sim)) return
  }
  assert.fail(`the cloud does not come to rest: ${JSON.stringify(look())}`)
}

before(async () => {
  sim = await SimCloud.start(7, 3)
  await prepare(sim, model)
  its.network = model.networks.get(TENANT) ?? ''
  const made = async (kind: string, path: string, body: Record<string, unknown>) => (await must(TENANT, 'POST', path, { [kind]: body })).body[kind].id as string
  const networks = [{ uuid: its.network }]
  its.server = await made('server', '/compute/v2.1/servers', { name: 's', flavorRef: '1', imageRef: model.imageId, networks })
  its.other = await made('server', '/compute/v2.1/servers', { name: 'o', flavorRef: '1', imageRef: model.imageId, networks })
  its.volume = await made('volume', `/volume/v3/${TENANT}/volumes`, { size: 1, name: 'v' })
  its.spare = await made('volume', `/volume/v3/${TENANT}/volumes`, { size: 1, name: 'w' })
  its.port = await made('port', '/network/v2.0/ports', { network_id: its.network, name: 'p' })
  its.second = await made('port', '/network/v2.0/ports', { network_id: its.network, name: 'q' })
  its.fip = await made('floatingip', '/network/v2.0/floatingips', { floating_network_id: model.publicId, port_id: its.port })
  await must(TENANT, 'PUT', OBJECT, undefined, { body: 'kept' })
  await settle()
  await must(TENANT, 'POST', `/compute/v2.1/servers/${its.server}/os-volume_attachments`, { volumeAttachment: { volumeId: its.volume } })
  await settle()
  its.attachment = String(rows(project(), 'SELECT id FROM volume_attachments')[0]?.id)
  its.subnet = String(rows(project(), 'SELECT id FROM net_subnets')[0]?.id)
  its.router = String(rows(project(), 'SELECT id FROM net_routers')[0]?.id)
  its.nic = String(rows(project(), 'SELECT id FROM net_ports WHERE device_id = ?', its.server)[0]?.id)
  home = sim.hosts.findIndex((one) => one.disk.hypervisor.has(its.server))
})
after(() => sim.close())

test('a sound cloud has no violation', async () => {
  assert.deepEqual([safety(sim), converged(sim), look()], [[], [], []])
  const report = await verify()
  assert.deepEqual({ ...report, checked: null }, { ok: true, violations: [], orphans: [], degraded_objects: 0, checked: null })
  assert.ok(report.checked.objects >= 1 && report.checked.hosts === 3 && report.checked.items > 5, JSON.stringify(report.checked))
  assert.equal(machineOf(home, its.server).state.disks.find((disk) => disk.id === its.volume)?.serial, its.volume)
})

// ---------------------------------------------------------------- one host, one attachment, the right disk

plant('a server that runs on two hosts', {
  do: () => {
    const machine = structuredClone(machineOf(home, its.server))
    machine.state.disks = machine.state.disks.filter((disk) => disk.id === 'root')
    sim.hosts[away()]?.disk.hypervisor.set(its.server, machine)
  },
  undo: () => sim.hosts[away()]?.disk.hypervisor.delete(its.server),
  expect: () => [`server-on-one-host: server ${its.server}`],
})
plant('a server that two hosts say runs there', { rows: () => host(away()), do: (deps) => observe(deps, its.server, {}), expect: () => [`server-on-one-host: server ${its.server}`] })
plant('a server that two hosts are told to have', {
  rows: () => host(away()),
  do: (deps) => {
    const [row] = rows(host(home), "SELECT * FROM desired WHERE kind = 'server' AND id = ?", its.server)
    change(deps, 'INSERT INTO desired (kind, id, project_id, generation, state, spec, version) VALUES (?, ?, ?, ?, ?, ?, ?)', row?.kind, row?.id, row?.project_id, row?.generation, row?.state, row?.spec, 1)
  },
  expect: () => ['server-on-one-host', 'host-desired', 'host-converged'].map((invariant) => `${invariant}: server ${its.server}`),
})
plant('a server that is active on no host', {
  do: (deps) => change(deps, 'UPDATE servers SET host_id = NULL WHERE id = ?', its.other),
  expect: () => [`server-on-one-host: server ${its.other}`, `host-desired: server ${its.other}`, `allocation-owned: allocation ${its.other}`],
})
plant('a volume with two live attachments', {
  do: (deps) => {
    const [row] = rows(deps, 'SELECT * FROM volume_attachments WHERE id = ?', its.attachment)
    const copy: Record<string, unknown> = { ...row, id: 'second', iqn: null }
    change(deps, `INSERT INTO volume_attachments (${Object.keys(copy).join()}) VALUES (${Object.keys(copy).map(() => '?').join()})`, ...Object.values(copy))
  },
  expect: () => [`volume-one-attachment: volume ${its.volume}`],
  message: /has 2 attachments/,
})
plant('a volume that two servers say they have', {
  do: (deps) => change(deps, 'INSERT INTO server_volumes SELECT ?, volume_id, attachment_id, state, device, boot_index, delete_on_termination, tag, disk, since_generation FROM server_volumes WHERE volume_id = ?', its.other, its.volume),
  expect: () => [`volume-one-attachment: volume ${its.volume}`, `volume-one-attachment: server ${its.other}`],
  message: /is in servers/,
})
plant('an attached volume without its attachment', {
  do: (deps) => change(deps, 'DELETE FROM volume_attachments WHERE id = ?', its.attachment),
  expect: () => [`volume-one-attachment: volume ${its.volume}`, `volume-one-attachment: server ${its.server}`],
})
const otherHome = () => sim.hosts.findIndex((one) => one.disk.hypervisor.has(its.other))
plant('a volume in two machines', {
  do: () => void machineOf(otherHome(), its.other).state.disks.push({ id: its.volume, serial: its.volume }),
  undo: () => void machineOf(otherHome(), its.other).state.disks.pop(),
  expect: () => [`volume-one-attachment: volume ${its.volume}`],
})
plant('a volume that two machines are said to have', {
  rows: () => host(otherHome()),
  do: (deps) => observe(deps, its.other, { disks: [{ id: its.volume, serial: its.volume }] }),
  expect: () => [`volume-one-attachment: volume ${its.volume}`],
})
plant('an attached volume that its machine has not', { rows: () => host(home), do: (deps) => observe(deps, its.server, { disks: [] }), expect: () => [`volume-one-attachment: volume ${its.volume}`], message: /does not have it/ })
const attached = () => machineOf(home, its.server).state.disks.find((disk) => disk.id === its.volume) ?? assert.fail('no such disk')
plant('a disk under another serial', {
  do: () => Object.assign(attached(), { serial: its.spare }),
  undo: () => Object.assign(attached(), { serial: its.volume }),
  expect: () => [`volume-serial: volume ${its.volume}`],
})
plant('a disk that a host reports under another serial', { rows: () => host(home), do: (deps) => observe(deps, its.server, { disks: [{ id: its.volume, serial: its.spare }] }), expect: () => [`volume-serial: volume ${its.volume}`] })
plant('a disk that was promised under another serial', {
  do: (deps) => change(deps, "UPDATE server_volumes SET disk = json_set(disk, '$.serial', ?) WHERE volume_id = ?", its.spare, its.volume),
  expect: () => [`volume-serial: server ${its.server}`],
})

// ---------------------------------------------------------------- addresses and references

test('an address cannot be written twice', () => {
  assert.throws(() => project().storage.sql.exec("INSERT INTO net_addresses SELECT subnet_id, ip, network_id, 'somebody' FROM net_addresses WHERE holder_id = ?", its.port), /UNIQUE|constraint/i)
})
plant('an address that two ports have, without the key that forbids it', {
  do: (deps) => {
    deps.storage.sql.exec('CREATE TABLE loose AS SELECT * FROM net_addresses')
    deps.storage.sql.exec('DROP TABLE net_addresses')
    deps.storage.sql.exec('ALTER TABLE loose RENAME TO net_addresses')
    change(deps, 'UPDATE net_ports SET fixed_ips = (SELECT fixed_ips FROM net_ports WHERE id = ?) WHERE id = ?', its.port, its.second)
    change(deps, 'INSERT INTO net_addresses SELECT subnet_id, ip, network_id, ? FROM net_addresses WHERE holder_id = ?', its.second, its.port)
  },
  expect: () => [`address-unique: port ${its.port}`],
})
plant('a port with the address of another', {
  do: (deps) => change(deps, 'UPDATE net_ports SET fixed_ips = (SELECT fixed_ips FROM net_ports WHERE id = ?) WHERE id = ?', its.port, its.second),
  expect: () => [`address-unique: port ${its.second}`],
})
plant('a port on a missing network', { do: (deps) => change(deps, "UPDATE net_ports SET network_id = 'none' WHERE id = ?", its.second), expect: () => [`reference-exists: port ${its.second}`] })
plant('a port on a missing subnet', {
  do: (deps) => change(deps, "UPDATE net_ports SET fixed_ips = json_set(fixed_ips, '$[0].subnet_id', 'none') WHERE id = ?", its.second),
  expect: () => [`reference-exists: port ${its.second}`, `address-unique: port ${its.second}`],
})
plant('a subnet of a missing network', { do: (deps) => change(deps, "UPDATE net_subnets SET network_id = 'none' WHERE id = ?", its.subnet), expect: () => [`reference-exists: subnet ${its.subnet}`, ...subnetUsers()], message: /network none/ })
/** Ports that lose their subnet with it. */
const subnetUsers = () => rows(project(), 'SELECT id FROM net_ports WHERE fixed_ips LIKE ?', `%${its.subnet}%`).map((row) => `reference-exists: port ${row.id}`)
plant('a floating IP of a missing port', {
  do: (deps) => change(deps, "UPDATE net_floating_ips SET port_id = 'none' WHERE id = ?", its.fip),
  expect: () => [`reference-exists: floatingip ${its.fip}`],
})
plant('an address held for a missing port', {
  do: (deps) => change(deps, 'UPDATE net_addresses SET holder_id = ? WHERE holder_id = ?', 'none', its.second),
  expect: () => [`reference-exists: address ${JSON.parse(String(rows(project(), 'SELECT fixed_ips FROM net_ports WHERE id = ?', its.second)[0]?.fixed_ips))[0].ip_address}`, `address-unique: port ${its.second}`],
})
plant("an address on another project's network that its owner did not give", {
  rows: () => depsOf('PROJECT', 'project-admin'),
  do: (deps) => change(deps, 'DELETE FROM net_claims WHERE holder_id = ?', its.fip),
  expect: () => [`address-unique: port ${its.fip}`, ...rows(depsOf('PROJECT', 'project-admin'), "SELECT holder_id FROM net_addresses WHERE holder_id = ?", its.fip).map(() => `reference-exists: address ${String(rows(project(), 'SELECT floating_ip_address AS ip FROM net_floating_ips')[0]?.ip)}`)],
})
plant('a missing volume', {
  do: (deps) => change(deps, 'DELETE FROM volumes WHERE id = ?', its.volume),
  expect: () => [`reference-exists: server ${its.server}`, `reference-exists: attachment ${its.attachment}`, `allocation-owned: volume ${its.volume}`, `host-desired: volume ${its.volume}`, ...(exported() ? [`host-desired: export ${its.attachment}`] : [])],
})
const exported = () => rows(project(), 'SELECT iqn FROM volume_attachments WHERE id = ?', its.attachment)[0]?.iqn !== null
plant('a missing server', {
  do: (deps) => change(deps, 'DELETE FROM servers WHERE id = ?', its.server),
  expect: () => [`reference-exists: volume ${its.volume}`, `reference-exists: attachment ${its.attachment}`, `allocation-owned: allocation ${its.server}`, `host-desired: server ${its.server}`],
})

// ---------------------------------------------------------------- nothing waits for ever

const long_ago = () => sim.world.clock.now_ms() - LONG_AGO_MS
plant('a server in a task past its deadline', {
  do: (deps) => change(deps, `UPDATE servers SET task_state = 'rebooting', deadline_ms = ?, operation = '{"request_id":"r","action":"reboot","back":"active"}' WHERE id = ?`, long_ago(), its.other),
  expect: () => [`no-overdue-state: server ${its.other}`],
  message: /past its deadline/,
})
plant('a server in a task without owner or deadline', { do: (deps) => change(deps, "UPDATE servers SET task_state = 'rebooting', operation = NULL WHERE id = ?", its.other), expect: () => [`no-overdue-state: server ${its.other}`], message: /no deadline/ })
plant('a volume in a transient state that nothing ends', { do: (deps) => change(deps, "UPDATE volumes SET status = 'extending', deadline_ms = ? WHERE id = ?", long_ago(), its.spare), expect: () => [`no-overdue-state: volume ${its.spare}`] })
plant('an outbox step past its deadline', {
  do: (deps) => change(deps, "INSERT INTO _outbox (task, key, payload, request_id, due_ms, deadline_ms) VALUES ('lost', 'step', '{}', 'r', ?, ?)", long_ago(), long_ago()),
  expect: () => ['no-overdue-state: lost step'],
})

// ---------------------------------------------------------------- hosts are what they are told

for (const [kind, id] of [['server', () => its.server], ['volume', () => its.volume], ['port', () => its.nic]] as const) {
  const at = () => sim.hostIds.findIndex((_, n) => rows(host(n), 'SELECT 1 FROM desired WHERE kind = ? AND id = ?', kind, id()).length > 0)
  plant(`a ${kind} that its host has not brought to the newest generation`, {
    rows: () => host(at()),
    do: (deps) => change(deps, 'UPDATE desired SET generation = generation + 1 WHERE kind = ? AND id = ?', kind, id()),
    expect: () => [`host-desired: ${kind} ${id()}`, `host-converged: ${kind} ${id()}`],
  })
  plant(`a ${kind} that its host has lost`, {
    rows: () => host(at()),
    do: (deps) => change(deps, "UPDATE observed SET item = json_set(item, '$.status', 'gone') WHERE kind = ? AND id = ?", kind, id()),
    expect: () => [`host-converged: ${kind} ${id()}`],
    message: /has lost it/,
  })
  plant(`a ${kind} that its host was never told of`, { rows: () => host(at()), do: (deps) => change(deps, 'DELETE FROM desired WHERE kind = ? AND id = ?', kind, id()), expect: () => [`host-desired: ${kind} ${id()}`] })
}
plant('a machine that is off while its owner has it on', { rows: () => host(home), do: (deps) => observe(deps, its.server, { power: 'shutdown' }), expect: () => [`power-kept: server ${its.server}`] })

// ---------------------------------------------------------------- what the region holds

plant('an allocation without a consumer', {
  rows: region,
  do: (deps) => change(deps, "INSERT INTO allocations SELECT 'nobody', host_id, project_id, user_id, consumer_type, vcpus, ram_mib, disk_gib, created_ms, funnel, group_id FROM allocations WHERE consumer_id = ?", its.server),
  expect: () => ['allocation-owned: allocation nobody'],
})
plant('an allocation on another host', { rows: region, do: (deps) => change(deps, 'UPDATE allocations SET host_id = ? WHERE consumer_id = ?', sim.hostIds[away()], its.server), expect: () => [`allocation-owned: allocation ${its.server}`] })
for (const [what, table, key, resource] of [
  ['server', 'allocations', 'consumer_id', () => `allocation ${its.server}`], ['volume', 'volume_allocations', 'volume_id', () => `volume ${its.volume}`],
  ['router', 'net_router_hosts', 'router_id', () => `router ${its.router}`], ['network', 'net_segments', 'network_id', () => `segment ${its.network}`],
] as const) {
  plant(`a ${what} for which the region holds nothing`, { rows: region, do: (deps) => change(deps, `DELETE FROM ${table} WHERE ${key} = ?`, its[what]), expect: () => [`allocation-owned: ${resource()}`] })
}
plant('a network with a segment that it was not given', { do: (deps) => change(deps, 'UPDATE net_networks SET segment_id = 12345 WHERE id = ?', its.network), expect: () => [`allocation-owned: network ${its.network}`] })
plant('usage that is not the sum', { do: (deps) => change(deps, 'UPDATE servers SET vcpus = vcpus + 7 WHERE id = ?', its.server), expect: () => ['quota-is-sum: quota cores'] })
test('volume usage is counted, never kept: the API says what the rows sum up to', async () => {
  const { absolute } = (await must(TENANT, 'GET', `/volume/v3/${TENANT}/limits`)).body.limits
  const [sums] = rows(project(), 'SELECT COUNT(*) AS volumes, SUM(size_gib) AS gib FROM volumes')
  assert.deepEqual([absolute.totalVolumesUsed, absolute.totalGigabytesUsed], [sums?.volumes, sums?.gib])
})

// ---------------------------------------------------------------- what takes time

test('the API finds what is planted, and no more once it is gone', async () => {
  region().storage.sql.exec("INSERT INTO allocations SELECT 'nobody', host_id, project_id, user_id, consumer_type, vcpus, ram_mib, disk_gib, created_ms, funnel, group_id FROM allocations WHERE consumer_id = ?", its.server)
  const report = await verify()
  assert.equal(report.ok, false)
  assert.deepEqual(namesOf(report.violations), ['allocation-owned: allocation nobody'])
  region().storage.sql.exec("DELETE FROM allocations WHERE consumer_id = 'nobody'")
  assert.deepEqual((await verify()).violations, [])
})

test('what nobody asked for is reported as an orphan, and stays', async () => {
  const stray = '00000000-0000-4000-8000-000000000001'
  const machines = sim.hosts[home]?.disk.hypervisor
  const machine = structuredClone(machineOf(home, its.server))
  Object.assign(machine.state, { id: stray, disks: [], nics: [] })
  machines?.set(stray, machine)
  await sim.run(AUDITED_MS)
  const report = await verify()
  assert.deepEqual(report.orphans, [{ host: sim.hosts[home]?.name, kind: 'server', id: stray }])
  assert.deepEqual(report.violations, [])
  assert.equal(machines?.get(stray)?.state.power, 'running', 'an orphan was touched')
  machines?.delete(stray)
  await sim.run(AUDITED_MS)
  assert.deepEqual((await verify()).orphans, [])
})

test('an acknowledged object that its disks have lost is found', async () => {
  const env = sim.cluster.env as unknown as Env
  const now = () => sim.world.clock.now_ms()
  const name = { account: `AUTH_${TENANT}`, container: 'c', object: 'kept' }
  const at = await sim.finish(locate(env, name, 0, now()))
  assert.equal(at.primaries.length, 3)
  const expected = [null, /only 1 of 3 disks have it/, /no disk has it/]
  for (const [n, device] of at.primaries.entries()) {
    await sim.finish(env.HOST.getByName(device.host_id).objectDelete({ device: device.device, policy: at.policy, partition: at.partition, hash: at.hash, name: at.name, timestamp: timestampOf(now()) }) as Promise<unknown>)
    const report = await verify()
    assert.equal(report.degraded_objects, 1)
    const message = expected[n]
    if (message === null || message === undefined) assert.deepEqual(report.violations, [])
    else {
      assert.deepEqual(namesOf(report.violations), [`object-readable: object ${name.account}/c/kept`])
      assert.match(report.violations[0]?.message ?? '', message)
    }
  }
  await must(TENANT, 'PUT', OBJECT, undefined, { body: 'kept' })
  await sim.run(AUDITED_MS)
  const report = await verify()
  assert.deepEqual([report.violations, report.degraded_objects], [[], 0])
})
