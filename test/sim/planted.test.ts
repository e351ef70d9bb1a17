/** Every invariant is broken once, in an object's rows or on a host's disk: `skyhook verify` must find that, and nothing else. What holds is found to hold. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Violation } from '../../durable-objects/kernel/violation.ts'
import type { VerifyReport } from '../../workers/agents/verify/verify.ts'
import { converged, safety } from './invariants.ts'
import { Model, prepare } from './operations.ts'
import { calm } from './seed.ts'
import { SimCloud } from './simcloud.ts'
import { REPAIR_WINDOW_MS } from '../../workers/object/verify.ts'

const TENANT = 'project-a'
const OTHER = 'project-b'

/** A small cloud at rest: two servers of one tenant, one with a volume and a floating IP, a server of another tenant, an object. */
interface Scene {
  sim: SimCloud
  model: Model
  server: string
  second: string
  foreign: string
  volume: string
  port: string
  floatingip: string
  home: number
}

async function scene(): Promise<Scene> {
  const sim = await SimCloud.start(5, 3)
  const model = new Model()
  await prepare(sim, model)
  const post = async (tenant: string, path: string, json: unknown) => {
    const answer = await sim.finish(sim.call(tenant, 'POST', path, json))
    assert.ok(answer.status < 300, `${path}: ${answer.text}`)
    return answer.body
  }
  const boot = async (tenant: string) => (await post(tenant, '/compute/v2.1/servers', { server: { name: 's', flavorRef: '1', imageRef: model.imageId, networks: [{ uuid: model.networks.get(tenant) }] } })).server.id as string
  const [server, second, foreign] = [await boot(TENANT), await boot(TENANT), await boot(OTHER)]
  const volume = (await post(TENANT, `/volume/v3/${TENANT}/volumes`, { volume: { size: 1 } })).volume.id
  assert.ok(await calm(sim))
  await post(TENANT, `/compute/v2.1/servers/${server}/os-volume_attachments`, { volumeAttachment: { volumeId: volume } })
  const port = (await sim.finish(sim.call(TENANT, 'GET', `/network/v2.0/ports?device_id=${server}`))).body.ports[0].id
  const floatingip = (await post(TENANT, '/network/v2.0/floatingips', { floatingip: { floating_network_id: model.publicId, port_id: port } })).floatingip.id
  const put = await sim.finish(sim.call(TENANT, 'PUT', `/object-store/v1/AUTH_${TENANT}/c/o`, undefined, { body: 'hello' }))
  assert.equal(put.status, 201)
  assert.ok(await calm(sim))
  const home = sim.hosts.findIndex((host) => host.disk.hypervisor.has(server))
  return { sim, model, server, second, foreign, volume, port, floatingip, home }
}

const sql = ({ sim }: Scene, kind: string, id: string, query: string, ...bindings: unknown[]): Record<string, unknown>[] => sim.cluster.instance(kind, id).deps.storage.sql.exec(query, ...bindings).toArray()
const inProject = (at: Scene, query: string, ...bindings: unknown[]) => sql(at, 'PROJECT', TENANT, query, ...bindings)
const inRegion = (at: Scene, query: string, ...bindings: unknown[]) => sql(at, 'REGION', 'region', query, ...bindings)
const hostOf = (at: Scene) => at.sim.hostIds[at.home] ?? ''
const machine = (at: Scene, id = at.server) => {
  const found = at.sim.hosts.map((host) => host.disk.hypervisor.get(id)).find((one) => one !== undefined)
  assert.ok(found)
  return found
}
/** Longer than an agent takes to look at what it has. */
const AUDIT_MS = 70_000

interface Plant {
  what: string
  plant(at: Scene): Promise<unknown> | unknown
  /** Invariants that are broken by it: these and no others. */
  breaks: string[]
  /** What a violation must name. */
  names(at: Scene): string
}

const PLANTS: Plant[] = [
  {
    what: 'a server runs on two hosts',
    plant: async (at) => {
      at.sim.hosts[(at.home + 1) % 3]?.disk.hypervisor.set(at.server, structuredClone(machine(at)))
      await at.sim.run(AUDIT_MS)
    },
    breaks: ['server-on-one-host'], names: (at) => `server ${at.server}`,
  },
  {
    what: 'a server is wanted on two hosts',
    plant: (at) => {
      const [row] = sql(at, 'HOST', hostOf(at), "SELECT * FROM desired WHERE kind = 'server' AND id = ?", at.server)
      sql(at, 'HOST', at.sim.hostIds[(at.home + 1) % 3] ?? '', "INSERT INTO desired (kind, id, project_id, generation, state, spec, version) VALUES ('server', ?, ?, ?, 'present', ?, 0)", at.server, TENANT, row?.generation, row?.spec)
    },
    breaks: ['host-converged', 'host-desired', 'server-on-one-host'], names: (at) => `server ${at.server}`,
  },
  {
    what: 'an exclusive volume has two attachments',
    plant: (at) => inProject(at, 'INSERT INTO volume_attachments SELECT ?, volume_id, NULL, status, mode, device, host_id, host_name, 0, connector, NULL, portal, chap_user, chap_secret, generation, attached_ms, created_ms, updated_ms FROM volume_attachments LIMIT 1', crypto.randomUUID()),
    breaks: ['volume-one-attachment'], names: (at) => `volume ${at.volume}`,
  },
  {
    what: 'a volume is in two guests',
    plant: async (at) => {
      machine(at, at.second).state.disks.push({ id: at.volume, serial: at.volume })
      await at.sim.run(AUDIT_MS)
    },
    breaks: ['volume-one-attachment'], names: (at) => `volume ${at.volume}`,
  },
  {
    what: 'a guest knows its volume by another serial',
    plant: async (at) => {
      for (const disk of machine(at).state.disks) if (disk.id === at.volume) disk.serial = 'wrong'
      await at.sim.run(AUDIT_MS)
    },
    breaks: ['volume-serial'], names: (at) => `volume ${at.volume}`,
  },
  { what: 'quota usage is not the sum of the resources', plant: (at) => inProject(at, 'UPDATE servers SET vcpus = 7 WHERE id = ?', at.server), breaks: ['allocation-owned', 'quota-is-sum'], names: () => 'quota cores' },
  {
    what: 'two ports have one address',
    plant: (at) => inProject(at, 'UPDATE net_ports SET fixed_ips = (SELECT fixed_ips FROM net_ports WHERE device_id = ?) WHERE device_id = ?', at.server, at.second),
    breaks: ['address-unique'], names: () => 'port ',
  },
  {
    what: 'a floating IP was given to nobody by the network\'s owner',
    plant: (at) => sql(at, 'PROJECT', 'project-admin', 'DELETE FROM net_claims WHERE holder_id = ?', at.floatingip),
    breaks: ['address-unique', 'reference-exists'], names: (at) => at.floatingip,
  },
  { what: 'a floating IP is of a port that does not exist', plant: (at) => inProject(at, "UPDATE net_floating_ips SET port_id = 'nowhere' WHERE id = ?", at.floatingip), breaks: ['reference-exists'], names: (at) => `floatingip ${at.floatingip}` },
  { what: 'a subnet is on a network that does not exist', plant: (at) => inProject(at, "UPDATE net_subnets SET network_id = 'nowhere'"), breaks: ['reference-exists'], names: () => 'subnet ' },
  { what: 'a router\'s gateway port does not exist', plant: (at) => inProject(at, "UPDATE net_routers SET gateway_port_id = 'nowhere'"), breaks: ['reference-exists'], names: () => 'router ' },
  { what: 'a server\'s volume does not exist', plant: (at) => inProject(at, "UPDATE server_volumes SET volume_id = 'nowhere' WHERE server_id = ?", at.server), breaks: ['reference-exists', 'volume-one-attachment', 'volume-serial'], names: (at) => `server ${at.server}` },
  {
    what: 'a task is past its deadline',
    plant: (at) => inProject(at, "UPDATE servers SET task_state = 'pausing', deadline_ms = ?, operation = '{}' WHERE id = ?", at.sim.world.clock.now_ms() - 600_000, at.server),
    breaks: ['no-overdue-state'], names: (at) => `server ${at.server}`,
  },
  { what: 'a transient status has nothing that ends it', plant: (at) => inProject(at, "UPDATE volumes SET status = 'extending', deadline_ms = NULL WHERE id = ?", at.volume), breaks: ['no-overdue-state'], names: (at) => `volume ${at.volume}` },
  {
    what: 'an outbox step is past its deadline',
    plant: (at) => inProject(at, "INSERT INTO _outbox (task, key, payload, request_id, due_ms, deadline_ms) VALUES ('compute.release', '', '{\"consumers\":[]}', 'r', ?, ?)", at.sim.world.clock.now_ms() + 3_600_000, at.sim.world.clock.now_ms() - 600_000),
    breaks: ['no-overdue-state'], names: () => 'compute.release',
  },
  {
    what: 'a step of the region is past its deadline',
    plant: (at) => inRegion(at, "INSERT INTO _outbox (task, key, payload, request_id, due_ms, deadline_ms) VALUES ('region.some', '', '{}', 'r', ?, ?)", at.sim.world.clock.now_ms() + 3_600_000, at.sim.world.clock.now_ms() - 600_000),
    breaks: ['no-overdue-state'], names: () => 'region.some',
  },
  { what: 'a port that was made for a server is left without it', plant: (at) => inProject(at, "UPDATE net_ports SET device_id = 'nowhere' WHERE device_id = ?", at.second), breaks: ['reference-exists'], names: () => 'port ' },
  { what: 'a floating IP is on a network that does not exist', plant: (at) => inProject(at, "UPDATE net_floating_ips SET floating_network_id = 'nowhere' WHERE id = ?", at.floatingip), breaks: ['reference-exists'], names: (at) => `floatingip ${at.floatingip}` },
  { what: 'the region keeps less free than a server needs', plant: (at) => inRegion(at, 'UPDATE allocations SET ram_mib = 1 WHERE consumer_id = ?', at.server), breaks: ['allocation-owned'], names: (at) => `allocation ${at.server}` },
  {
    what: 'a host has not what it was told',
    plant: (at) => sql(at, 'HOST', hostOf(at), "UPDATE observed SET generation = 0, item = json_set(item, '$.generation', 0) WHERE kind = 'server' AND id = ?", at.server),
    breaks: ['host-converged'], names: (at) => `server ${at.server}`,
  },
  { what: 'a host was told something old', plant: (at) => inProject(at, 'UPDATE servers SET generation = generation + 1 WHERE id = ?', at.server), breaks: ['host-desired'], names: (at) => `server ${at.server}` },
  {
    what: 'a host keeps what its owner has given up',
    plant: (at) => inProject(at, "DELETE FROM net_hosted WHERE kind = 'port' AND id = ?", at.port),
    breaks: ['host-desired'], names: (at) => `port ${at.port}`,
  },
  { what: 'a guest is not in the power state that its owner sees', plant: (at) => inProject(at, "UPDATE servers SET vm_state = 'stopped', power = 'off' WHERE id = ?", at.second), breaks: ['power-kept'], names: (at) => `server ${at.second}` },
  {
    what: 'a machine was stopped behind everybody\'s back, and its agent is silent',
    plant: async (at) => {
      sql(at, 'HOST', hostOf(at), "UPDATE observed SET item = json_set(item, '$.power', 'paused') WHERE kind = 'server' AND id = ?", at.server)
    },
    breaks: ['power-kept'], names: (at) => `server ${at.server}`,
  },
  {
    what: 'an allocation belongs to no server',
    plant: (at) => inRegion(at, "INSERT INTO allocations (consumer_id, host_id, project_id, user_id, consumer_type, vcpus, ram_mib, disk_gib, created_ms, funnel) VALUES ('nobody', ?, ?, 'u', 'INSTANCE', 1, 1, 1, 0, '[]')", hostOf(at), TENANT),
    breaks: ['allocation-owned'], names: () => 'allocation nobody',
  },
  { what: 'a server holds no room', plant: (at) => inRegion(at, 'DELETE FROM allocations WHERE consumer_id = ?', at.server), breaks: ['allocation-owned'], names: (at) => `allocation ${at.server}` },
  { what: 'a volume holds no room', plant: (at) => inRegion(at, 'DELETE FROM volume_allocations WHERE volume_id = ?', at.volume), breaks: ['allocation-owned'], names: (at) => `volume ${at.volume}` },
  { what: 'a network uses a segment that it was not given', plant: (at) => inProject(at, 'UPDATE net_networks SET segment_id = segment_id + 1000'), breaks: ['allocation-owned'], names: () => 'network ' },
  { what: 'something is published that its owner does not have', plant: (at) => inRegion(at, "INSERT INTO published (kind, id, owner_id, audience, data, updated_ms) VALUES ('image', 'nowhere', ?, '*', '{}', 0)", TENANT), breaks: ['reference-exists'], names: () => 'image nowhere' },
  { what: 'an active image has no bytes', plant: (at) => sql(at, 'PROJECT', 'project-admin', "UPDATE images SET locations = '[]'"), breaks: ['reference-exists'], names: (at) => `image ${at.model.imageId}` },
  { what: 'a change is missing from the log', plant: (at) => inProject(at, 'DELETE FROM _changes WHERE seq = (SELECT MIN(seq) + 2 FROM _changes)'), breaks: ['change-log-whole'], names: () => 'change log' },
  { what: 'a change belongs to no request', plant: (at) => inProject(at, "UPDATE _changes SET request_id = '' WHERE seq = (SELECT MIN(seq) FROM _changes)"), breaks: ['change-log-whole'], names: () => 'change log' },
  { what: 'most replicas of an object are lost', plant: (at) => loseReplicas(at, 2, REPAIR_WINDOW_MS), breaks: ['object-readable'], names: () => `object AUTH_${TENANT}/c/o` },
]

/** Takes the object's files from `count` hosts' disks, once it is that old. */
async function loseReplicas({ sim }: Scene, count: number, age_ms = 0): Promise<void> {
  await sim.run(age_ms)
  let lost = 0
  for (const { fs } of sim.disks) {
    if (lost === count) return
    for (const path of await filesBelow(fs, '/devices/d1/objects')) {
      if (!(await isOf(fs, path, `/AUTH_${TENANT}/c/o`))) continue
      await fs.unlink(path)
      lost++
    }
  }
  assert.equal(lost, count)
}

type Fs = SimCloud['disks'][number]['fs']

async function filesBelow(fs: Fs, folder: string): Promise<string[]> {
  const folders = await fs.subfolders(folder).catch(() => [] as string[])
  const names = (await fs.readdir(folder).catch(() => [] as string[])).filter((name) => !folders.includes(name))
  return [...names.map((name) => `${folder}/${name}`), ...(await Promise.all(folders.map((name) => filesBelow(fs, `${folder}/${name}`)))).flat()]
}

async function isOf(fs: Fs, path: string, name: string): Promise<boolean> {
  const file = await fs.open(path)
  const keys = ['user.skyhook.metadata', 'user.swift.metadata']
  for (const key of keys) {
    const value = await fs.getxattr(file, key)
    if (value !== null && Buffer.from(value).toString().includes(`"${name}"`)) return true
  }
  return false
}

async function verify({ sim }: Scene): Promise<VerifyReport> {
  const answer = await sim.finish(sim.call('admin', 'GET', '/agents/v1/verify'))
  assert.equal(answer.status, 200, answer.text)
  return answer.body
}

const kinds = (violations: readonly Violation[]) => [...new Set(violations.map((violation) => violation.invariant))].sort()

test('a cloud in which all is well has no violations', async () => {
  const at = await scene()
  try {
    const report = await verify(at)
    assert.deepEqual(report.violations, [])
    assert.equal(report.ok, true)
    assert.equal(report.degraded_objects, 0)
    assert.deepEqual(report.orphans, [])
    assert.ok(report.checked.projects >= 3 && report.checked.hosts === 3 && report.checked.items > 10 && report.checked.objects >= 2, JSON.stringify(report.checked))
    await loseReplicas(at, 1)
    const degraded = await verify(at)
    assert.equal(degraded.ok, true, 'one lost replica of three is no loss yet')
    assert.equal(degraded.degraded_objects, 1)
  } finally {
    at.sim.close()
  }
})

for (const { what, plant, breaks, names } of PLANTS) {
  test(`verify finds: ${what}`, async () => {
    const at = await scene()
    try {
      await plant(at)
      // Rows were changed from outside: what instances keep in memory must not hide it.
      const simulator = kinds([...safety(at.sim), ...converged(at.sim)])
      const report = await verify(at)
      assert.equal(report.ok, false)
      assert.deepEqual(kinds(report.violations), breaks, JSON.stringify(report.violations, null, 1))
      assert.ok(report.violations.some((violation) => violation.resource.includes(names(at))), JSON.stringify(report.violations))
      for (const invariant of breaks) if (invariant !== 'object-readable') assert.ok(simulator.includes(invariant), `the simulator's own look misses ${invariant}: ${simulator}`)
    } finally {
      at.sim.close()
    }
  })
}
