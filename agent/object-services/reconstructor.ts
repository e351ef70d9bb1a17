/**
 * The replicator of erasure-coded policies: brings every fragment of a partition to the device that the ring wants it on. What a device lacks is pushed there where it lies here; a
 * fragment that lies nowhere is computed from k others by the first host after it in the partition's order that has all the rest, first to its own disk, so that the way to its
 * place can be gone again. Tombstones and metadata are the same everywhere and go as with copies. Fragments that no acknowledgement is known of count as soon as another device
 * knows of one, and go when they were superseded or are older than any write takes.
 *
 * While a device is out (absent.ts), its fragments are computed for the next handoffs, which readers look at too; these give them home once it is back.
 */
import type { FragmentAt, PartitionAt, VersionSet } from '../../schema/agent/replication.ts'
import type { ErasureScheme } from '../../schema/values/erasure.ts'
import { isFault } from '../../schema/values/fault.ts'
import { type Log, messageOf } from '../log.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'
import { digestOf, PARTITIONS_PER_QUERY_MAX } from './answer.ts'
import type { Absent } from './absent.ts'
import type { Peer } from './peers.ts'
import { rebuild } from './rebuild.ts'
import { lacking, SUFFIXES_PER_QUERY_MAX } from './replicator.ts'
import type { HostRing, RingDeviceAt, Rings } from './ring.ts'
import { sourcesAt, sourcesBeyond } from './sources.ts'
import { type StandIn, standIns } from './stand-ins.ts'

export interface ReconstructorPass {
  partitions: number
  rebuilt: number
  pushed: number
  /** Of these, to handoffs in place of devices that are out. */
  filled: number
  drained: number
  reclaimed: number
  failures: number
}

export interface ReconstructorDeps {
  host_id: string
  replicas: ObjectReplicas
  rings: Rings
  peer(host_id: string, ring: HostRing): Peer
  absent: Absent
  /** Timestamp before which a tombstone has done its work, and a write is over. */
  reclaimBefore(): string
  paced(bytes: number): Promise<void>
  stopped(): boolean
  log: Log
}

interface Job {
  at: PartitionAt
  ring: HostRing
  scheme: ErasureScheme
  /** Devices by the number of their fragment. */
  slots: (RingDeviceAt | null)[]
  /** Number of the fragments that belong here; -1 where none do. */
  mine: number
  suffixes: Record<string, string>
  /** Suffix -> the oldest fragment there that no acknowledgement is known of. */
  pending: Record<string, string>
  digest: string
  /** Number -> what the device said of the partition; absent where it could not be asked. */
  digests: Map<number, string>
  /** Devices that have all that this one has for them. */
  confirmed: Set<number>
  /** Devices that others must stand in for. */
  out: Set<number>
}

const sameDevice = (a: RingDeviceAt | null | undefined, host_id: string, device: string): boolean => a?.host_id === host_id && a.device === device

export class Reconstructor {
  #deps: ReconstructorDeps

  constructor(deps: ReconstructorDeps) {
    this.#deps = deps
  }

  async pass(device: string): Promise<ReconstructorPass> {
    const result: ReconstructorPass = { partitions: 0, rebuilt: 0, pushed: 0, filled: 0, drained: 0, reclaimed: 0, failures: 0 }
    const jobs = await this.#jobs(device)
    result.partitions = jobs.length
    await this.#compare(device, jobs, result)
    for (const job of jobs) {
      if (this.#deps.stopped()) return result
      await this.#attempt(job, result, () => this.#ownShare(job, result))
      for (const index of job.slots.keys()) {
        if (this.#deps.stopped()) return result
        await this.#attempt(job, result, () => this.#serve(job, index, result))
      }
      await this.#attempt(job, result, () => this.#finish(job, result))
    }
    await this.#fill(jobs, result)
    return result
  }

  async #jobs(device: string): Promise<Job[]> {
    const { replicas, rings, host_id } = this.#deps
    const jobs: Job[] = []
    for (const { policy, partition } of await replicas.partitions(device)) {
      const ring = rings.get(policy)
      const scheme = ring?.ring.erasure ?? null
      const slots = ring?.slots(partition) ?? []
      // Without a ring nothing is known of where it belongs: it stays.
      if (ring === undefined || scheme === null || !slots.some((slot) => slot !== null)) continue
      const at = { device, policy, partition }
      const suffixes = await replicas.suffixes(at)
      const { pending } = await replicas.fragments(at)
      jobs.push({ at, ring, scheme, slots, mine: slots.findIndex((slot) => sameDevice(slot, host_id, device)), suffixes, pending, digest: digestOf(suffixes), digests: new Map(), confirmed: new Set(), out: new Set() })
    }
    return jobs
  }

  /** Asks every other device of these partitions for its digests, many at once. */
  async #compare(device: string, jobs: readonly Job[], result: ReconstructorPass): Promise<void> {
    const targets = new Map<string, { slot: RingDeviceAt; wants: { job: Job; index: number }[] }>()
    for (const job of jobs) {
      for (const [index, slot] of job.slots.entries()) {
        if (slot === null || index === job.mine) continue
        const key = `${job.at.policy}/${slot.host_id}/${slot.device}`
        const target = targets.get(key) ?? { slot, wants: [] }
        target.wants.push({ job, index })
        targets.set(key, target)
      }
    }
    for (const { slot, wants } of targets.values()) {
      try {
        for (let from = 0; from < wants.length; from += PARTITIONS_PER_QUERY_MAX) {
          const some = wants.slice(from, from + PARTITIONS_PER_QUERY_MAX)
          const { job: first } = some[0] as { job: Job }
          const digests = await this.#deps.peer(slot.host_id, first.ring).ask('digests', { device: slot.device, policy: first.at.policy, partitions: some.map(({ job }) => job.at.partition) })
          for (const [n, { job, index }] of some.entries()) job.digests.set(index, digests[n] ?? '')
          this.#deps.absent.heard(slot.host_id)
        }
      } catch (error) {
        result.failures++
        this.#deps.log('reconstruction_failed', { device, to: `${slot.host_id}/${slot.device}`, error: messageOf(error) })
        const job = wants[0]?.job
        if (job === undefined) continue
        const isOut = await this.#deps.absent.isOut(slot, job.at.policy, this.#deps.peer(slot.host_id, job.ring)).catch(() => false)
        if (isOut) for (const want of wants) if (!want.job.digests.has(want.index)) want.job.out.add(want.index)
      }
    }
  }

  async #attempt(job: Job, result: ReconstructorPass, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      result.failures++
      this.#deps.log('reconstruction_failed', { device: job.at.device, partition: job.at.partition, error: messageOf(error) })
    }
  }

  // ---------------------------------------------------------------- this device

  /** Fragments here that belong elsewhere go there, and what should be here and is not is computed. */
  async #ownShare(job: Job, result: ReconstructorPass): Promise<void> {
    const { replicas } = this.#deps
    const { numbers } = await replicas.fragments(job.at)
    const isPlain = (job.mine < 0 || numbers.every((number) => number === job.mine)) && Object.keys(job.pending).length === 0
    if (isPlain) return
    for (const set of await replicas.versions({ ...job.at, suffixes: [...new Set([...Object.keys(job.suffixes), ...Object.keys(job.pending)])] })) {
      await this.#forgetOld(job, set, result)
      // What a place that holds strays has goes home as the others lack it.
      if (set.data === null || job.mine < 0) continue
      const here = (set.fragments ?? []).filter(({ timestamp, durable }) => durable && timestamp === set.data)
      if (here.length > 0 && !here.some(({ index }) => index === job.mine)) await this.#rebuild(job, set, job.mine, result)
      for (const { index } of here) {
        const slot = job.slots[index] ?? null
        // While its place can't be asked, and where there is none, it stays: it may be one of the last.
        if (index === job.mine || slot === null || !job.digests.has(index)) continue
        await this.#sendHome(job, set, index, slot, result)
      }
    }
  }

  /** Pushes a fragment to its place and removes it here: the other device has it then, or something newer. */
  async #sendHome(job: Job, set: VersionSet, index: number, slot: RingDeviceAt, result: ReconstructorPass): Promise<void> {
    const version = { hash: set.hash, kind: 'data' as const, timestamp: set.data ?? '', fragment: index }
    if (await this.#deps.peer(slot.host_id, job.ring).push({ ...job.at, ...version }, { ...job.at, device: slot.device, ...version })) result.pushed++
    await this.#deps.replicas.dropFragment({ ...job.at, hash: set.hash }, { timestamp: version.timestamp, index })
  }

  /** Of writes that never came to their end. */
  async #forgetOld(job: Job, set: VersionSet, result: ReconstructorPass): Promise<void> {
    const before = this.#deps.reclaimBefore()
    for (const fragment of pendingOf(set)) {
      if (fragment.timestamp >= before) continue
      await this.#deps.replicas.dropFragment({ ...job.at, hash: set.hash }, fragment)
      result.reclaimed++
    }
  }

  // ---------------------------------------------------------------- other devices

  /** What the device of that number lacks of what is here. */
  async #serve(job: Job, index: number, result: ReconstructorPass): Promise<void> {
    const slot = job.slots[index] ?? null
    if (slot === null || index === job.mine) return
    const digest = job.digests.get(index)
    if (digest === undefined) return
    if (digest === job.digest && job.mine >= 0) {
      job.confirmed.add(index)
      return
    }
    const peer = this.#deps.peer(slot.host_id, job.ring)
    const there = { ...job.at, device: slot.device }
    const theirs = await peer.ask('suffixes', there)
    // A place that holds strays only compares each object: hashes say nothing of which fragments there are.
    const suffixes = [...new Set([...Object.keys(job.suffixes).filter((suffix) => job.mine < 0 || theirs[suffix] !== job.suffixes[suffix]), ...Object.keys(job.pending)])]
    let isDone = true
    for (let from = 0; from < suffixes.length; from += SUFFIXES_PER_QUERY_MAX) {
      const some = suffixes.slice(from, from + SUFFIXES_PER_QUERY_MAX)
      const known = new Map((await peer.ask('versions', { ...there, suffixes: some })).map((set) => [set.hash, set]))
      for (const set of await this.#deps.replicas.versions({ ...job.at, suffixes: some })) {
        if (this.#deps.stopped()) return
        try {
          if (!(await this.#bring(job, set, known.get(set.hash), { index, slot, peer }, result))) isDone = false
        } catch (error) {
          // A device that is not there has nothing for the other objects either.
          if (isFault(error, 'unavailable') && isAway(error)) throw error
          isDone = false
          result.failures++
          this.#deps.log('reconstruction_failed', { device: job.at.device, partition: job.at.partition, hash: set.hash, to: `${slot.host_id}/${slot.device}`, error: messageOf(error) })
        }
      }
    }
    if (isDone) job.confirmed.add(index)
  }

  /** True where the device has all of the object that it should have from here. */
  async #bring(job: Job, set: VersionSet, their: VersionSet | undefined, to: { index: number; slot: RingDeviceAt; peer: Peer }, result: ReconstructorPass): Promise<boolean> {
    const { index, slot, peer } = to
    const there = { ...job.at, device: slot.device }
    const base = [their?.data ?? '', their?.ts ?? ''].sort().at(-1) ?? ''
    const isQuiet = await this.#judgePending(job, set, their, base)
    let isDone = isQuiet
    if (set.data !== null && base <= set.data && (their?.ts ?? '') < set.data) isDone = (await this.#bringData(job, set, their, to, result)) && isDone
    for (const [kind, timestamp] of lacking({ ...set, data: null }, their, this.#deps.reclaimBefore())) {
      const version = { hash: set.hash, kind, timestamp }
      if (await peer.push({ ...job.at, ...version }, { ...there, ...version })) result.pushed++
    }
    // What is newer there comes here by that device's own pass.
    return isDone && index >= 0
  }

  async #bringData(job: Job, set: VersionSet, their: VersionSet | undefined, { index, slot, peer }: { index: number; slot: RingDeviceAt; peer: Peer }, result: ReconstructorPass): Promise<boolean> {
    const timestamp = set.data ?? ''
    const theirs = (their?.fragments ?? []).find((fragment) => fragment.timestamp === timestamp && fragment.index === index)
    if (theirs?.durable === true) return true
    const there = { ...job.at, device: slot.device, hash: set.hash }
    if (theirs !== undefined && (await peer.ask('commit', { ...there, timestamp })).committed) {
      result.pushed++
      return true
    }
    const isHere = (set.fragments ?? []).some((fragment) => fragment.timestamp === timestamp && fragment.index === index)
    // A place that holds strays only gives what it has; the others see to the rest.
    if (!isHere && job.mine < 0) return true
    if (!isHere && !this.#isResponsible(job, index)) return false
    if (!isHere) await this.#rebuild(job, set, index, result)
    const version = { hash: set.hash, kind: 'data' as const, timestamp, fragment: index }
    if (await peer.push({ ...job.at, ...version }, { ...there, ...version })) result.pushed++
    if (job.mine >= 0) await this.#deps.replicas.dropFragment({ ...job.at, hash: set.hash }, { timestamp, index })
    return true
  }

  /** The first device after the one that lacks something, of those that have all that this one has. */
  #isResponsible(job: Job, lackingIndex: number): boolean {
    const count = job.slots.length
    for (let step = 1; step < count; step++) {
      const index = (lackingIndex + step) % count
      if (index === job.mine) return true
      if (job.digests.get(index) === job.digest) return false
    }
    return false
  }

  /** Another device knows whether a write was acknowledged, or that it was superseded. False where something changed here. */
  async #judgePending(job: Job, set: VersionSet, their: VersionSet | undefined, base: string): Promise<boolean> {
    const { replicas } = this.#deps
    let isQuiet = true
    for (const fragment of pendingOf(set)) {
      if (their?.data === fragment.timestamp) await replicas.commit({ ...job.at, hash: set.hash, timestamp: fragment.timestamp })
      else if (fragment.timestamp < base) await replicas.dropFragment({ ...job.at, hash: set.hash }, fragment)
      isQuiet = false
    }
    return isQuiet
  }

  async #rebuild(job: Job, set: VersionSet, index: number, result: ReconstructorPass): Promise<void> {
    const { replicas, paced } = this.#deps
    const wanted = { at: job.at, hash: set.hash, timestamp: set.data ?? '', index, data: job.scheme.data }
    const near = sourcesAt(this.#deps, job, set, index)
    try {
      await rebuild(replicas, wanted, near, paced)
    } catch (error) {
      // Too few of its places have what is theirs: handoffs may.
      if (!isFault(error, 'unavailable')) throw error
      const far = await sourcesBeyond(this.#deps, job, set, [index])
      if (far.length === 0) throw error
      await rebuild(replicas, wanted, [...near, ...far], paced)
    }
    result.rebuilt++
  }

  // ---------------------------------------------------------------- in place of devices that are out

  /** Each fragment whose device is out is brought to a handoff. Where there are fewer of those, one takes several, or a place of the partition itself: better two on one device than one nowhere. */
  async #fill(jobs: readonly Job[], result: ReconstructorPass): Promise<void> {
    const open = jobs.filter((job) => job.mine >= 0 && [...job.out].some((index) => this.#isResponsible(job, index)))
    if (open.length === 0 || this.#deps.stopped()) return
    const found = await standIns(open.map((job) => ({ at: job.at, ring: job.ring, count: job.out.size })), this.#deps.peer, (device, error) => {
      result.failures++
      this.#deps.log('reconstruction_failed', { to: `${device.host_id}/${device.device}`, error: messageOf(error) })
    })
    for (const [at, job] of open.entries()) {
      const spares = found[at] ?? []
      for (const [n, index] of [...job.out].sort((a, b) => a - b).entries()) {
        if (this.#deps.stopped()) return
        const spare = spares[n % Math.max(1, spares.length)]
        if (!this.#isResponsible(job, index)) continue
        if (spare === undefined) {
          await this.#attempt(job, result, () => this.#keep(job, index, result))
          continue
        }
        if (spare.digest === job.digest && spare.numbers?.length === 1 && spare.numbers[0] === index) continue
        await this.#attempt(job, result, () => this.#fillOne(job, index, spare, spares, result))
      }
    }
  }

  /** There is no handoff: it stays here, beside the fragment that belongs here, until its place is back. */
  async #keep(job: Job, index: number, result: ReconstructorPass): Promise<void> {
    for (const set of await this.#deps.replicas.versions({ ...job.at, suffixes: Object.keys(job.suffixes) })) {
      if (this.#deps.stopped()) return
      if (set.data === null || (set.fragments ?? []).some((fragment) => fragment.index === index && fragment.timestamp === set.data)) continue
      await this.#rebuild(job, set, index, result)
      result.filled++
    }
  }

  async #fillOne(job: Job, index: number, spare: StandIn, spares: readonly StandIn[], result: ReconstructorPass): Promise<void> {
    const suffixes = Object.keys(job.suffixes)
    const to = { index, slot: spare.device, peer: this.#deps.peer(spare.device.host_id, job.ring) }
    for (let from = 0; from < suffixes.length; from += SUFFIXES_PER_QUERY_MAX) {
      const some = suffixes.slice(from, from + SUFFIXES_PER_QUERY_MAX)
      const known = new Map<StandIn, Map<string, VersionSet>>()
      for (const one of spares) known.set(one, new Map((await this.#deps.peer(one.device.host_id, job.ring).ask('versions', { ...job.at, device: one.device.device, suffixes: some })).map((set) => [set.hash, set])))
      for (const set of await this.#deps.replicas.versions({ ...job.at, suffixes: some })) {
        if (this.#deps.stopped()) return
        // A writer may have left it with another one of them.
        const isElsewhere = [...known].some(([one, sets]) => one !== spare && (sets.get(set.hash)?.fragments ?? []).some((fragment) => fragment.durable && fragment.index === index && fragment.timestamp === set.data))
        const before = result.pushed
        await this.#bring(job, isElsewhere ? { ...set, data: null } : set, known.get(spare)?.get(set.hash), to, result)
        result.filled += result.pushed - before
      }
    }
  }

  // ---------------------------------------------------------------- the end

  /** What may be removed once all devices of the partition are known to have what is theirs. */
  async #finish(job: Job, result: ReconstructorPass): Promise<void> {
    const { replicas } = this.#deps
    const others = [...job.slots.entries()].filter(([index, slot]) => slot !== null && index !== job.mine).map(([index]) => index)
    if (others.some((index) => !job.confirmed.has(index)) || this.#deps.stopped()) return
    if (job.mine >= 0) {
      // Every place must be there and have been told: a device that comes back late may still need the tombstone.
      if (others.length === job.slots.length - 1 && !job.ring.isMoving(job.at.partition)) result.reclaimed += await replicas.reclaim(job.at, this.#deps.reclaimBefore())
      return
    }
    // Only what was there when it was compared.
    const now = await replicas.suffixes(job.at)
    for (const set of await replicas.versions({ ...job.at, suffixes: Object.keys(job.suffixes) })) {
      if (now[set.hash.slice(-3)] !== job.suffixes[set.hash.slice(-3)] || pendingOf(set).length > 0) continue
      // A fragment that the ring has no place for may be one of the last.
      if ((set.fragments ?? []).some(({ index }) => (job.slots[index] ?? null) === null)) continue
      await replicas.drop(job.at, set)
      result.drained++
    }
  }
}

const pendingOf = (set: VersionSet): FragmentAt[] => (set.fragments ?? []).filter(({ durable }) => !durable)

/** The other host says that its device, or itself, is not there; that too few fragments can be read says nothing of it. */
const isAway = (error: unknown): boolean => !messageOf(error).startsWith('only ')
