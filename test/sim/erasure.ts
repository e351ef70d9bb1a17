/** Object hosts of an erasure-coded policy under virtual time: what tests do to them, and what lies wrong. */
import type { FragmentAt, ObjectServiceLimits, PartitionAt } from '../../schema/agent/replication.ts'
import { lyingOn } from '../support/tamper.ts'
import { ObjectStorm } from './objects.ts'

const DEVICE = 'd1'

export class ErasureStorm extends ObjectStorm {
  scheme = { data: 0, parity: 0 }

  static async code(seed: number, hosts: number, scheme: { data: number; parity: number }, options: { away?: number[]; limits?: Partial<ObjectServiceLimits> } = {}): Promise<ErasureStorm> {
    // Segments so small that short texts have several, and a last one that is not full.
    const policy = { index: 0, name: 'ec', default: true, policy_type: 'erasure_coding', ec_num_data_fragments: scheme.data, ec_num_parity_fragments: scheme.parity, ec_object_segment_size: 200 }
    const storm = (await ErasureStorm.start(seed, hosts, { ...options, policies: [policy] })) as ErasureStorm
    storm.scheme = { data: scheme.data, parity: scheme.parity }
    return storm
  }

  async reconnected(): Promise<void> {
    await this.sim.run(60_000, () => this.sim.hosts.every((host) => host.agent?.up === true))
    // Hosts that did not answer are left alone for a moment.
    await this.sim.run(10_000)
  }

  /** Commits to these hosts fail, by the host's number: the object that has its link ends. */
  set failCommits(fails: (host: number) => boolean) {
    this.sim.crashAt = (where) => {
      const id = /^HOST\/(.*)\.objectCommit$/.exec(where)?.[1]
      return id !== undefined && fails(this.sim.hostIds.indexOf(id))
    }
  }

  /** The disk is replaced by an empty one. */
  async wipe(host: number): Promise<void> {
    const replicas = this.sim.hosts[host]?.drivers.object?.replicas
    if (replicas === undefined) return
    for (const at of await replicas.partitions(DEVICE)) {
      const place = { device: DEVICE, ...at }
      for (const set of await replicas.versions({ ...place, suffixes: Object.keys(await replicas.suffixes(place)) })) await replicas.drop(place, set)
    }
  }

  /** Of a write that is on k + 1 of these hosts and no more, one fragment is taken away: as if k had been enough to acknowledge it. */
  async weaken(name: string, hosts: readonly number[]): Promise<void> {
    const found: { host: number; place: PartitionAt; hash: string; fragment: FragmentAt }[] = []
    for (const host of hosts) {
      for await (const { place, set } of lyingOn(this.replicas(host))) {
        const fragment = (set.fragments ?? []).find(({ durable, timestamp }) => durable && timestamp === set.data)
        if (fragment !== undefined && set.hash === this.hashOf(name)) found.push({ host, place, hash: set.hash, fragment })
      }
    }
    const newest = found.map(({ fragment }) => fragment.timestamp).sort().at(-1)
    const mine = found.filter(({ fragment }) => fragment.timestamp === newest)
    const [one] = mine
    if (mine.length === this.scheme.data + 1 && one !== undefined) await this.replicas(one.host).dropFragment({ ...one.place, hash: one.hash }, one.fragment)
  }

  #slots(partition: number): (string | undefined)[] {
    const view = this.sim.cluster.instance('RING', '0').current(-1)
    return Array.from({ length: this.scheme.data + this.scheme.parity }, (_, n) => view.devices.find((device: { id: number }) => device.id === view.assignment[n]?.[partition])?.host_id)
  }

  /** Objects that count, with fewer of their fragments on devices that work than there should be; `hosts`: on these alone. */
  async thinCode(hosts: readonly number[] = [...this.sim.hosts.keys()]): Promise<string[]> {
    const found = new Map<string, Set<number>>()
    for (const { host, set } of await this.placed()) {
      if (set.data === null) continue
      const numbers = found.get(set.hash) ?? new Set()
      found.set(set.hash, numbers)
      if (hosts.includes(this.sim.hostIds.indexOf(host))) for (const { durable, index, timestamp } of set.fragments ?? []) if (durable && timestamp === set.data) numbers.add(index)
    }
    return [...found].filter(([, numbers]) => numbers.size < this.scheme.data + this.scheme.parity).map(([hash, numbers]) => `${hash}: ${[...numbers].join()}`)
  }

  /** Of every object: the newest state on every place, each fragment on its own place and nowhere else, nothing that does not count. */
  async wrong(): Promise<string[]> {
    const placed = await this.placed()
    const objects = new Map<string, { partition: number; newest: string }>()
    for (const { partition, set } of placed) {
      const newest = [objects.get(set.hash)?.newest ?? '', set.data ?? '', set.ts ?? ''].sort().at(-1) ?? ''
      objects.set(set.hash, { partition, newest })
    }
    const wrong: string[] = []
    for (const [hash, { partition, newest }] of objects) {
      const slots = this.#slots(partition)
      const metas = new Set<string>()
      for (const [index, host] of slots.entries()) {
        if (host === undefined) continue
        const set = placed.find((one) => one.host === host && one.set.hash === hash)?.set
        const counted = (set?.fragments ?? []).map((fragment) => `${fragment.timestamp}#${fragment.index}${fragment.durable ? '' : '?'}`).join()
        const isRight = set !== undefined && (set.ts === newest ? counted === '' : set.data === newest && counted === `${newest}#${index}`)
        metas.add(String(set?.meta ?? null))
        if (!isRight) wrong.push(`${hash} of ${newest} on place ${index}: ${counted === '' ? JSON.stringify(set ?? null) : counted}`)
      }
      if (metas.size > 1) wrong.push(`${hash}: metadata ${[...metas].join(' | ')}`)
    }
    for (const { host, partition, set } of placed) if (!this.#slots(partition).includes(host)) wrong.push(`${set.hash} astray on ${host}`)
    return wrong
  }
}
