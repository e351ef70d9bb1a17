/**
 * Brings every replica of a partition to the same state, by pushing what another device lacks: digests of whole partitions first, then suffixes, then versions. A
 * partition that is not ours (a handoff, or one that moved away) goes to all of its primaries and is removed only once each of them has everything. Tombstones are reclaimed
 * when they are old enough and all primaries were found alike in the same pass: a host that was away for longer than that can't bring anything back to life.
 *
 * While a primary is out (absent.ts), the others bring what they have to the next handoff in its place; that one drains to it by the rule above once it is back.
 */
import type { PartitionAt, VersionKind, VersionSet } from '../../schema/agent/replication.ts'
import { isFault } from '../../schema/values/fault.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../log.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'
import type { Absent } from './absent.ts'
import { digestOf, PARTITIONS_PER_QUERY_MAX } from './answer.ts'
import type { Peer } from './peers.ts'
import type { HostRing, RingDeviceAt, Rings } from './ring.ts'

export const SUFFIXES_PER_QUERY_MAX = 128

export interface ReplicatorPass {
  partitions: number
  pushed: number
  /** Of these, to handoffs in place of devices that are out. */
  filled: number
  drained: number
  reclaimed: number
  failures: number
}

export interface ReplicatorDeps {
  host_id: string
  replicas: ObjectReplicas
  rings: Rings
  peer(host_id: string, ring: HostRing): Peer
  absent: Absent
  /** Timestamp before which a tombstone has done its work. */
  reclaimBefore(): string
  stopped(): boolean
  log: Log
}

interface Job {
  at: PartitionAt
  ring: HostRing
  mine: boolean
  targets: RingDeviceAt[]
  suffixes: Record<string, string>
  digest: string
  /** Targets that have all we have. */
  confirmed: number
  /** Targets that are out: as many handoffs must have all we have. */
  out: number
}

const keyOf = (device: RingDeviceAt): string => `${device.host_id}/${device.device}`

/** What of `mine` the other device lacks; pure. */
export function lacking(mine: VersionSet, theirs: VersionSet | undefined, reclaim_before: string): [VersionKind, string][] {
  const base = theirs === undefined ? '' : [theirs.data ?? '', theirs.ts ?? ''].sort().at(-1) ?? ''
  const out: [VersionKind, string][] = []
  if (mine.data !== null && mine.data > base) out.push(['data', mine.data])
  // An old tombstone over nothing has done its work; over something it still has to.
  if (mine.ts !== null && (mine.ts > base ? base !== '' || mine.ts >= reclaim_before : mine.ts === base && theirs?.ts !== mine.ts)) out.push(['ts', mine.ts])
  if (mine.meta !== null && mine.meta > base && mine.meta > (theirs?.meta ?? '')) out.push(['meta', mine.meta])
  return out
}

export class Replicator {
  #deps: ReplicatorDeps

  constructor(deps: ReplicatorDeps) {
    this.#deps = deps
  }

  async pass(device: string): Promise<ReplicatorPass> {
    const { replicas, rings, host_id } = this.#deps
    const result: ReplicatorPass = { partitions: 0, pushed: 0, filled: 0, drained: 0, reclaimed: 0, failures: 0 }
    const jobs: Job[] = []
    for (const { policy, partition } of await replicas.partitions(device)) {
      const ring = rings.get(policy)
      const primaries = ring?.primaries(partition) ?? []
      // Without a ring nothing is known of where it belongs: it stays.
      // Fragments are the reconstructor's.
      if (ring === undefined || primaries.length === 0 || ring.ring.erasure != null) continue
      const at = { device, policy, partition }
      const targets = primaries.filter((one) => one.host_id !== host_id || one.device !== device)
      const suffixes = await replicas.suffixes(at)
      jobs.push({ at, ring, mine: targets.length < primaries.length, targets, suffixes, digest: digestOf(suffixes), confirmed: 0, out: 0 })
      result.partitions++
    }
    const gone = new Set<string>()
    for (const [target, group] of byTarget(jobs)) {
      if (this.#deps.stopped()) return result
      if (await this.#sync(group, target, result, (job) => job.confirmed++)) continue
      if (!(await this.#isOut(group, target))) continue
      gone.add(keyOf(target))
      for (const job of group) job.out++
    }
    await this.#fill(jobs, gone, result)
    for (const job of jobs) await this.#finish(job, result)
    return result
  }

  async #isOut([first]: Job[], target: RingDeviceAt): Promise<boolean> {
    if (first === undefined) return false
    return await this.#deps.absent.isOut(target, first.at.policy, this.#deps.peer(target.host_id, first.ring)).catch(() => false)
  }

  /** As many handoffs as primaries are out get what we have, the first ones that work. `gone`: devices that need not be asked. */
  async #fill(jobs: readonly Job[], gone: Set<string>, result: ReplicatorPass): Promise<void> {
    let open = jobs.filter((job) => job.mine && job.out > 0).map((job) => ({ job, spares: job.ring.handoffs(job.at.partition), left: job.out }))
    while (open.length > 0) {
      const groups = new Map<string, { target: RingDeviceAt; some: typeof open }>()
      for (const one of open) {
        let next = one.spares.shift()
        while (next !== undefined && gone.has(keyOf(next))) next = one.spares.shift()
        if (next === undefined) continue
        const key = `${one.job.at.policy}/${keyOf(next)}`
        const group = groups.get(key) ?? { target: next, some: [] }
        group.some.push(one)
        groups.set(key, group)
      }
      for (const { target, some } of groups.values()) {
        if (this.#deps.stopped()) return
        const before = result.pushed
        const of = new Map(some.map((one) => [one.job, one]))
        const done = (job: Job): void => {
          const one = of.get(job)
          if (one !== undefined) one.left--
        }
        if (!(await this.#sync([...of.keys()], target, result, done))) gone.add(keyOf(target))
        result.filled += result.pushed - before
      }
      open = open.filter((one) => one.left > 0 && one.spares.length > 0)
    }
  }

  /** Brings one device what it lacks of some partitions of one policy; `done` is called for each that it has all of then. False where the device can't be had. */
  async #sync(jobs: readonly Job[], target: RingDeviceAt, result: ReplicatorPass, done: (job: Job) => void): Promise<boolean> {
    const [first] = jobs
    if (first === undefined) return true
    const failed = (error: unknown, at: { device: string; partition?: number }): boolean => {
      result.failures++
      this.#deps.log('replication_failed', { device: at.device, ...(at.partition === undefined ? {} : { partition: at.partition }), to: keyOf(target), error: messageOf(error) })
      return isFault(error, 'unavailable')
    }
    const peer = this.#deps.peer(target.host_id, first.ring)
    for (let from = 0; from < jobs.length; from += PARTITIONS_PER_QUERY_MAX) {
      const some = jobs.slice(from, from + PARTITIONS_PER_QUERY_MAX)
      let digests: string[]
      try {
        digests = await peer.ask('digests', { device: target.device, policy: first.at.policy, partitions: some.map((job) => job.at.partition) })
      } catch (error) {
        failed(error, { device: first.at.device })
        return false
      }
      this.#deps.absent.heard(target.host_id)
      for (const [n, job] of some.entries()) {
        if (this.#deps.stopped()) return true
        try {
          if (digests[n] !== job.digest) result.pushed += await this.#push(job, target, peer)
          done(job)
        } catch (error) {
          // A device that is not there has nothing for the other partitions either.
          if (failed(error, job.at)) return false
        }
      }
    }
    return true
  }

  async #push(job: Job, target: RingDeviceAt, peer: Peer): Promise<number> {
    const there = { ...job.at, device: target.device }
    const theirs = await peer.ask('suffixes', there)
    const differing = Object.keys(job.suffixes).filter((suffix) => theirs[suffix] !== job.suffixes[suffix])
    const reclaim_before = this.#deps.reclaimBefore()
    let pushed = 0
    for (let from = 0; from < differing.length; from += SUFFIXES_PER_QUERY_MAX) {
      const suffixes = differing.slice(from, from + SUFFIXES_PER_QUERY_MAX)
      const known = new Map((await peer.ask('versions', { ...there, suffixes })).map((set) => [set.hash, set]))
      for (const set of await this.#deps.replicas.versions({ ...job.at, suffixes })) {
        for (const [kind, timestamp] of lacking(set, known.get(set.hash), reclaim_before)) {
          const version = { hash: set.hash, kind, timestamp }
          try {
            if (await peer.push({ ...job.at, ...version }, { ...there, ...version })) pushed++
          } catch (error) {
            // Overwritten here in the meantime: what is newer goes with the next pass, so this partition is not yet done.
            if (!isFault(error, 'not_found')) throw error
            throw Object.assign(error, { message: `a version changed while it was pushed: ${error.message}` })
          }
        }
      }
    }
    return pushed
  }

  /** What may be removed once all primaries are known to have everything. */
  async #finish(job: Job, result: ReplicatorPass): Promise<void> {
    const { replicas } = this.#deps
    if (job.confirmed < job.targets.length || this.#deps.stopped()) return
    try {
      if (job.mine) {
        if (!job.ring.isMoving(job.at.partition)) result.reclaimed += await replicas.reclaim(job.at, this.#deps.reclaimBefore())
        return
      }
      // Only what was there when it was compared: looked at first, and its suffix still hashes the same after that.
      const sets = await replicas.versions({ ...job.at, suffixes: Object.keys(job.suffixes) })
      const now = await replicas.suffixes(job.at)
      for (const set of sets) {
        const suffix = set.hash.slice(-3)
        if (now[suffix] !== job.suffixes[suffix]) continue
        await replicas.drop(job.at, set)
        result.drained++
      }
    } catch (error) {
      result.failures++
      this.#deps.log('replication_failed', { device: job.at.device, partition: job.at.partition, error: messageOf(error) })
    }
  }
}

function byTarget(jobs: readonly Job[]): Map<RingDeviceAt, Job[]> {
  const groups = new Map<string, { target: RingDeviceAt; jobs: Job[] }>()
  for (const job of jobs) {
    for (const target of job.targets) {
      const key = `${job.at.policy}/${target.host_id}/${target.device}`
      const group = groups.get(key) ?? { target, jobs: [] }
      group.jobs.push(job)
      groups.set(key, group)
    }
  }
  return new Map([...groups.values()].map(({ target, jobs: some }) => [target, some]))
}
