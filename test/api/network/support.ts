/** What the network tests share: callers, short calls, an external network, and hosts that only write down what they are told. */
import assert from 'node:assert/strict'
import type { DesiredItem } from '../../../schema/agent/desired.ts'
import type { HostFacts } from '../../../schema/agent/observed.ts'
import { SkyObject } from '../../../durable-objects/kernel/object.ts'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { type Answer, type TestCloud, mintedCloud } from '../../support/cloud.ts'

export type Call = (method: string, path: string, json?: unknown, headers?: Record<string, string>) => Promise<Answer>

/** A Host object that remembers what it was given, for tests without an agent. */
export class RecordingHost extends SkyObject {
  static told = new Map<string, Map<string, DesiredItem>>()
  static puts = 0
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, [], {})
  }

  put(items: DesiredItem[]): void {
    const mine = RecordingHost.told.get(this.deps.name) ?? new Map<string, DesiredItem>()
    RecordingHost.told.set(this.deps.name, mine)
    for (const item of items) {
      const key = `${item.kind}/${item.id}`
      if ((mine.get(key)?.generation ?? 0) >= item.generation) continue
      RecordingHost.puts++
      mine.set(key, item)
    }
  }
}

export interface NetworkCloud {
  cloud: TestCloud
  /** Calls as a member of project-a, of project-b, as an admin of project-admin. */
  a: Call
  b: Call
  admin: Call
  reader: Call
  /** Stops if any invariant of any project is broken. */
  verify(): void
  close(): void
}

const caller = async (cloud: TestCloud, who: Parameters<TestCloud['token']>[0]): Promise<Call> => {
  const token = await cloud.token(who)
  return (method, path, json, headers) => cloud.call(method, `/network/v2.0${path}`, { token, json, headers })
}

export async function networkCloud(): Promise<NetworkCloud> {
  RecordingHost.told = new Map()
  RecordingHost.puts = 0
  const cloud = await mintedCloud({ classes: { HOST: RecordingHost as never } })
  // What is on its way is no fault here; and these tests take ports for servers ('server-1') that compute never had.
  const excused = (message: string) => message.includes('on its way') || /^its server server-\w+ does not exist$/.test(message)
  const verify = () => {
    for (const { kind, id } of cloud.cluster.objects()) if (kind === 'PROJECT') assert.deepEqual(cloud.cluster.instance('PROJECT', id).verify().filter((one: { message: string }) => !excused(one.message)), [])
  }
  return {
    cloud,
    a: await caller(cloud, { project_id: 'project-a' }),
    b: await caller(cloud, { project_id: 'project-b', user_id: 'user-b' }),
    admin: await caller(cloud, { project_id: 'project-admin', user_id: 'user-admin', role: 'admin' }),
    reader: await caller(cloud, { project_id: 'project-a', role: 'reader' }),
    verify,
    close: () => cloud.close(),
  }
}

export async function ok(answer: Promise<Answer>, status: number): Promise<Answer['body']> {
  const given = await answer
  assert.equal(given.status, status, given.text)
  return given.body
}

/** The answer must be this error. */
export async function refused(answer: Promise<Answer>, status: number, type: string, words?: RegExp): Promise<void> {
  const given = await answer
  assert.equal(given.status, status, given.text)
  assert.equal(given.body.NeutronError?.type, type, given.text)
  if (words !== undefined) assert.match(given.body.NeutronError.message, words)
}

export async function publicNetwork(admin: Call): Promise<{ id: string; subnet_id: string }> {
  const { network } = await ok(admin('POST', '/networks', { network: { name: 'public', 'router:external': true, 'provider:network_type': 'flat', 'provider:physical_network': 'public' } }), 201)
  const { subnet } = await ok(admin('POST', '/subnets', { subnet: { network_id: network.id, ip_version: 4, cidr: '172.24.4.0/24', gateway_ip: '172.24.4.1', enable_dhcp: false, allocation_pools: [{ start: '172.24.4.10', end: '172.24.4.250' }] } }), 201)
  return { id: network.id, subnet_id: subnet.id }
}

export async function tenantNetwork(call: Call, cidr = '10.0.0.0/24'): Promise<{ id: string; subnet_id: string }> {
  const { network } = await ok(call('POST', '/networks', { network: { name: 'net' } }), 201)
  const { subnet } = await ok(call('POST', '/subnets', { subnet: { network_id: network.id, ip_version: 4, cidr } }), 201)
  return { id: network.id, subnet_id: subnet.id }
}

export const FACTS: HostFacts = {
  hostname: 'h', agent_version: '0', roles: ['compute', 'gateway'], drivers: { network: 'fake' }, simulated: true, cpu: { cores: 1, model: 'x', arch: 'x86_64' }, ram_mib: 1, disk_gib: 1, acceleration: 'none', hypervisor_version: 0,
  tunnel_ip: '127.0.0.2', storage_ip: null, physical_networks: ['public'], volume_pools: [], object_devices: [], uptime_s: 1,
}

/** A host that joined and is up. Returns its id. */
export async function joinHost(cloud: TestCloud, name: string, facts: Partial<HostFacts> = {}): Promise<string> {
  const region = cloud.cluster.instance('REGION', 'region')
  const { token } = region.system('test').hosts.createJoinToken({})
  const host = region.join(token, `key-of-${name}`, name)
  region.hostReport(host.id, true, { ...FACTS, hostname: name, ...facts })
  return host.id
}

export async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await check()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.fail(`it never came to be: ${what}`)
}

