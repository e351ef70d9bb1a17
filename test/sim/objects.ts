/** Object hosts under virtual time, with their consistency services: what tests of replication do to them, and what they look at. */
import type { ObjectReplicas } from '../../agent/drivers/object/replicas.ts'
import type { ObjectRecon, ObjectServiceLimits, VersionSet } from '../../schema/agent/replication.ts'
import { containerKey, hashOf } from '../../workers/object/names.ts'
import type { ObjectRow } from '../../workers/object/container/rows.ts'
import type { RingStatus } from '../../workers/object/ring-store.ts'
import type { Answer } from '../support/cloud.ts'
import { lyingOn } from '../support/tamper.ts'
import { SimCloud } from './simcloud.ts'

export const TENANT = 'project-a'
export const ACCOUNT = `AUTH_${TENANT}`
export const CONTAINER = 'c'
const DEVICE = 'd1'

type Placed = { host: string; partition: number; set: VersionSet }

export class ObjectStorm {
  readonly sim: SimCloud

  protected constructor(sim: SimCloud) {
    this.sim = sim
  }

  /** `away`: hosts (by number) that have joined and are not started. With even seeds all that is written is encrypted. */
  static async start(seed: number, hosts: number, options: { away?: number[]; limits?: Partial<ObjectServiceLimits>; policies?: object[] } = {}): Promise<ObjectStorm> {
    const swift = { object_services: options.limits ?? {}, encryption: seed % 2 === 0, ...(options.policies === undefined ? {} : { storage_policies: options.policies }) }
    const sim = await SimCloud.start(seed, hosts, { object_services: true, vars: { OPTIONS: JSON.stringify({ swift }), OBJECT_KEYS: Buffer.alloc(32, 7).toString('base64url') }, ...(options.away === undefined ? {} : { away: options.away }) })
    const storm = new this(sim)
    await storm.call('PUT', '')
    return storm
  }

  call(method: string, path: string, body?: string, headers?: Record<string, string>): Promise<Answer> {
    return this.sim.finish(this.begin(method, path, body, headers))
  }

  /** Without waiting for it: virtual time must go on for it to end. */
  begin(method: string, path: string, body?: string, headers?: Record<string, string>): Promise<Answer> {
    return this.sim.call(TENANT, method, `/object-store/v1/${ACCOUNT}/${CONTAINER}${path === '' ? '' : `/${path}`}`, undefined, { ...(body === undefined ? {} : { body }), ...(headers === undefined ? {} : { headers }) })
  }

  put = (name: string, text: string, headers: Record<string, string> = {}) => this.call('PUT', name, text, { 'content-length': String(text.length), ...headers })
  get = (name: string) => this.call('GET', name)
  delete = (name: string) => this.call('DELETE', name)
  post = (name: string, mark: string, type?: string) => this.call('POST', name, undefined, { 'x-object-meta-mark': mark, ...(type === undefined ? {} : { 'content-type': type }) })

  sever(host: number): void {
    this.sim.net.sever(this.sim.hostIds[host] ?? '')
  }

  mend(host: number): void {
    this.sim.net.mend(this.sim.hostIds[host] ?? '')
  }

  /** Calls to containers fail after they were asked for a time: a write that can't be listed. */
  set failListings(on: boolean) {
    this.sim.crashAt = on ? (where) => /^CONTAINER\/.*\.(putObject|deleteObject|postObject)$/.test(where) : () => false
  }

  /** Every service once on every host that is connected; first all that is reachable is given time to connect. */
  async pass(): Promise<void> {
    await this.sim.run(40_000, () => this.sim.hosts.every((host, n) => host.agent === null || host.agent.up || this.sim.net.cut.has(this.sim.hostIds[n] ?? '')))
    for (const host of this.sim.hosts) if (host.agent?.up) await this.sim.finish(Promise.resolve(host.objects?.run(['updater', 'replicator', 'reconstructor', 'resealer', 'auditor'])))
  }

  async recon(): Promise<ObjectRecon[]> {
    const found: ObjectRecon[] = []
    for (const host of this.sim.hosts) if (host.objects !== null && host.agent !== null) found.push(await this.sim.finish(host.objects.recon()))
    return found
  }

  /** Everything that lies on the disks, with the ring's opinion of it. */
  async placed(): Promise<Placed[]> {
    const found: Placed[] = []
    for (const [n, host] of this.sim.hosts.entries()) {
      const replicas = host.drivers.object?.replicas
      if (replicas === undefined) continue
      for (const { policy, partition } of await replicas.partitions(DEVICE).catch(() => [])) {
        const at = { device: DEVICE, policy, partition }
        for (const set of await replicas.versions({ ...at, suffixes: [...new Set([...Object.keys(await replicas.suffixes(at)), ...Object.keys((await replicas.fragments(at)).pending)])] })) found.push({ host: this.sim.hostIds[n] ?? '', partition, set })
      }
    }
    return found
  }

  /** Hosts whose device is a primary of this partition. */
  primaries(partition: number): string[] {
    const view = this.sim.cluster.instance('RING', '0').current(-1)
    return view.assignment.map((row: Uint16Array) => view.devices.find((device: { id: number }) => device.id === row[partition])?.host_id).filter((id: string | undefined) => id !== undefined)
  }

  /** Objects whose primaries do not all have the same versions. */
  async differences(): Promise<string[]> {
    const placed = await this.placed()
    const objects = new Map(placed.map(({ set, partition }) => [set.hash, partition]))
    return [...objects].flatMap(([hash, partition]) => {
      const states = new Set(this.primaries(partition).map((host) => JSON.stringify(placed.find((one) => one.host === host && one.set.hash === hash)?.set ?? null)))
      return states.size === 1 ? [] : [`${hash}: ${[...states].join(' | ')}`]
    })
  }

  /** What lies where it does not belong. */
  async strays(): Promise<string[]> {
    return (await this.placed()).filter(({ host, partition }) => !this.primaries(partition).includes(host)).map(({ host, set }) => `${set.hash} on ${host}`)
  }

  async tombstones(): Promise<number> {
    return (await this.placed()).filter(({ set }) => set.ts !== null).length
  }

  async holders(_name: string): Promise<string[]> {
    return (await this.placed()).filter(({ set }) => set.data !== null).map(({ host }) => host)
  }

  /** Hosts, by number, that have this object. */
  async holdersOf(name: string): Promise<number[]> {
    const hosts = new Set<number>()
    for (const n of this.sim.hosts.keys()) for await (const { set } of lyingOn(this.replicas(n))) if (set.data !== null && set.hash === this.hashOf(name)) hosts.add(n)
    return [...hosts]
  }

  hashOf(name: string): string {
    const { hash_prefix, hash_suffix } = this.sim.cluster.instance('RING', '0').current(-1)
    return hashOf({ account: ACCOUNT, container: CONTAINER, object: name }, hash_prefix, hash_suffix)
  }

  replicas(host: number): ObjectReplicas {
    const replicas = this.sim.hosts[host]?.drivers.object?.replicas
    if (replicas === undefined) throw new Error(`host ${host} has no object disks`)
    return replicas
  }

  unmount(host: number): void {
    this.sim.disks[host]?.unmount(DEVICE)
  }

  mount(host: number): void {
    this.sim.disks[host]?.mount(DEVICE)
  }

  /** Objects with fewer whole replicas on devices that work than the ring wants. */
  async thin(replicas: number): Promise<string[]> {
    const placed = await this.placed()
    const whole = new Map<string, number>()
    for (const { set } of placed) whole.set(set.hash, (whole.get(set.hash) ?? 0) + (set.data === null ? 0 : 1))
    return [...whole].filter(([, count]) => count < replicas).map(([hash, count]) => `${hash}: ${count}`)
  }

  flipBit(host: number): boolean {
    return this.sim.disks[host]?.flipBit(DEVICE, (count) => this.sim.world.random.below(count)) ?? false
  }

  container() {
    return this.sim.cluster.instance('CONTAINER', containerKey(ACCOUNT, CONTAINER))
  }

  async row(name: string): Promise<ObjectRow | null> {
    return await this.container().object(name)
  }

  async listing(): Promise<string[]> {
    return (await this.call('GET', '')).text.split('\n').filter((line) => line !== '')
  }

  ringStatus(): RingStatus {
    return this.sim.cluster.instance('RING', '0').status()
  }

  drain(host: number): void {
    const id = this.ringStatus().devices.find((device) => device.host_id === this.sim.hostIds[host])?.id ?? -1
    this.sim.cluster.instance('RING', '0').drain(id, true)
  }

  close(): void {
    this.sim.close()
  }
}
