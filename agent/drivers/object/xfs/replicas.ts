/** The disks as the consistency services see them (../replicas.ts): whole versions, taken in and given out as they lie, audited, put aside, removed. */
import { join } from 'node:path'
import type { FragmentAt, ListingEntry, ListingUpdate, PartitionAt, ReceiveArgs, SealedAt, StoredVersion, VersionAt, VersionSet } from '../../../../schema/agent/replication.ts'
import type { ResealedEntry } from '../../../../schema/agent/sealing.ts'
import { Fault, isFault } from '../../../../schema/values/fault.ts'
import { checkDevice, isTimestamp } from '../args.ts'
import { BlockSums } from '../blocks.ts'
import { createIntake } from '../intake.ts'
import type { Audited, ObjectReplicas, PendingUpdate } from '../replicas.ts'
import { Body } from './body.ts'
import { draft, readMetadata } from './commit.ts'
import { codeOf, emptyIfAbsent, type ObjectDisk, type Where } from './disk.ts'
import { commitFragments, fragmentOf, isWantedFragment, listed } from './fragments.ts'
import { SUFFIX } from './hashes.ts'
import { pendingPath, policyOf, resolve, type Version, devicePath } from './paths.ts'
import { reseal, sealedOf } from './reseal.ts'

const HASH = /^[0-9a-f]{32}$/

export class XfsReplicas implements ObjectReplicas {
  #disk: ObjectDisk

  constructor(disk: ObjectDisk) {
    this.#disk = disk
  }

  failures(): Record<string, string> {
    return this.#disk.failures()
  }

  async state(device: string): Promise<string | null> {
    try {
      await this.#guard({ device }, async () => {})
      return null
    } catch (error) {
      if (isFault(error, 'unavailable')) return error.message
      throw error
    }
  }

  partitions(device: string): Promise<{ policy: number; partition: number }[]> {
    return this.#guard({ device }, async ({ fs, dir }) => {
      const found: { policy: number; partition: number }[] = []
      for (const folder of await fs.subfolders(devicePath(dir, device))) {
        const policy = policyOf(folder)
        if (policy === null) continue
        for (const name of await fs.subfolders(join(devicePath(dir, device), folder))) if (/^\d+$/.test(name)) found.push({ policy, partition: Number(name) })
      }
      return found.sort((a, b) => a.policy - b.policy || a.partition - b.partition)
    })
  }

  suffixes(at: PartitionAt): Promise<Record<string, string>> {
    return this.#guard(at, async (disk) => (await disk.hashes.of(at)).suffixes)
  }

  versions(at: PartitionAt & { suffixes: readonly string[] }): Promise<VersionSet[]> {
    return this.#guard(at, async (disk) => {
      const found: VersionSet[] = []
      for (const suffix of at.suffixes) {
        if (!SUFFIX.test(suffix)) throw new Fault('bad_request', 'not a suffix')
        for (const hash of (await disk.files(join(disk.partition(at), suffix))).filter((name) => HASH.test(name)).sort()) {
          const set = await this.#set({ ...at, hash })
          if (set !== null) found.push(set)
        }
      }
      return found
    })
  }

  read(at: VersionAt): Promise<{ stored: StoredVersion; body: AsyncIterable<Uint8Array> }> {
    return this.#guard(at, async (disk) => {
      const folder = disk.folder(at)
      const version = at.fragment === undefined ? versionOf(await disk.files(folder), at) : fragmentOf(await disk.files(folder), at)
      if (version === null) throw new Fault('not_found', 'this version is no longer there')
      const file = await disk.fs.open(join(folder, version.file))
      try {
        const stored = await readMetadata(disk.fs, file, version.trailer)
        const size = at.kind === 'data' ? (stored.size_bytes ?? 0) : 0
        const body = new Body({ fs: disk.fs, file, stored, range: size === 0 ? null : [0, size - 1], damaged: () => disk.quarantine(at, version.file), named: (error) => disk.named(error, at.device) })
        await body.prime()
        return { stored, body }
      } catch (error) {
        await disk.fs.close(file).catch(() => {})
        if (error instanceof SyntaxError || (isFault(error, 'internal') && !error.message.includes('block'))) await disk.quarantine(at, version.file)
        throw error
      }
    })
  }

  receive(args: ReceiveArgs, body: AsyncIterable<Uint8Array>): Promise<boolean> {
    return this.#guard(args, async (disk) => {
      const { stored, kind, timestamp } = args
      if (!HASH.test(args.hash) || !isTimestamp(timestamp) || stored.timestamp !== timestamp || !['data', 'meta', 'ts'].includes(kind)) throw new Fault('bad_request', 'not a version')
      const index = stored.fragment?.index
      const wanted = async (resolved: ReturnType<typeof resolve>) => (kind === 'data' && index !== undefined ? isWantedFragment(resolved, timestamp, index) : isWanted(resolved, kind, timestamp))
      if (!(await wanted(resolve(await disk.files(disk.folder(args)))))) return false
      if (kind === 'data') await disk.refuseFull(args.device, stored.size_bytes ?? 0)
      const made = await draft(disk.fs, disk.tmp(args.device), kind, async (write) => {
        if (kind !== 'data') return stored
        const intake = intakeOf(stored)
        for await (const chunk of body) {
          intake.push(chunk)
          await write(chunk)
        }
        // A fragment that was computed anew has no check sum before it was written.
        const { blocks, etag } = intake.finish()
        return { ...stored, ...(etag === undefined ? {} : { etag }), blocks }
      })
      return await disk.placeIf(args, index === undefined ? made : { ...made, durable: true }, wanted)
    })
  }

  drop(at: PartitionAt, seen: VersionSet): Promise<void> {
    return this.#guard(at, (disk) => {
      const where: Where = { ...at, hash: seen.hash }
      const folder = disk.folder(where)
      return disk.lanes.run(folder, async () => {
        const files = await disk.files(folder)
        const { data, tombstone, posted, fragments } = resolve(files)
        // Anything new since: the next pass brings it where it belongs.
        if ((data?.timestamp ?? null) !== seen.data || (tombstone?.timestamp ?? null) !== seen.ts || posted !== seen.meta || JSON.stringify(listed(fragments)) !== JSON.stringify(seen.fragments ?? [])) return
        await disk.hashes.changing(where, async () => {
          for (const file of files) await disk.fs.unlink(join(folder, file))
        })
        await disk.tidy(where)
      })
    })
  }

  fragments(at: PartitionAt): Promise<{ numbers: number[]; pending: Record<string, string> }> {
    return this.#guard(at, async (disk) => {
      const { fragments, pending } = await disk.hashes.of(at)
      return { numbers: fragments, pending }
    })
  }

  commit(at: PartitionAt & { hash: string; timestamp: string }): Promise<boolean> {
    return this.#guard(at, (disk) => {
      if (!HASH.test(at.hash) || !isTimestamp(at.timestamp)) throw new Fault('bad_request', 'not a version')
      return commitFragments(disk, at, at.timestamp)
    })
  }

  dropFragment(at: PartitionAt & { hash: string }, { timestamp, index }: Pick<FragmentAt, 'timestamp' | 'index'>): Promise<void> {
    return this.#guard(at, (disk) => disk.lanes.run(disk.folder(at), async () => {
      const found = resolve(await disk.files(disk.folder(at))).fragments.filter((version) => version.timestamp === timestamp && version.fragment === index)
      if (found.length > 0) {
        await disk.hashes.changing(at, async () => {
          for (const { file } of found) await disk.fs.unlink(join(disk.folder(at), file))
        })
      }
      await disk.tidy(at)
    }))
  }

  reclaim(at: PartitionAt, before: string): Promise<number> {
    return this.#guard(at, async (disk) => {
      const { oldest_tombstone, suffixes } = await disk.hashes.of(at)
      if (oldest_tombstone === '' || oldest_tombstone >= before) return 0
      let count = 0
      for (const set of await this.versions({ ...at, suffixes: Object.keys(suffixes) })) {
        if (set.ts === null || set.data !== null || set.meta !== null || set.ts >= before) continue
        await this.drop(at, set)
        count++
      }
      return count
    })
  }

  sealed(at: PartitionAt & { hash: string }): Promise<SealedAt[]> {
    return this.#guard(at, (disk) => sealedOf(disk, at))
  }

  reseal(at: VersionAt, from: string, to: ResealedEntry): Promise<boolean> {
    return this.#guard(at, (disk) => reseal(disk, at, from, to))
  }

  audit(at: PartitionAt, hash: string, paced: (bytes: number) => Promise<void>): Promise<Audited> {
    return this.#guard(at, async (disk) => {
      const where: Where = { ...at, hash }
      const folder = disk.folder(where)
      const { data, tombstone, meta, posted, fragments } = resolve(await disk.files(folder))
      const main = data ?? tombstone
      let bytes = 0
      let entry: ListingEntry | null = null
      for (const version of [meta, main, ...fragments.filter((one) => one !== main)]) {
        if (version === null) continue
        const found = await this.#check(where, version, async (length) => {
          bytes += length
          await paced(length)
        })
        if (found.gone) return { bytes, damage: null, entry: null }
        if (found.damage !== null) return { bytes, damage: found.damage, entry: null }
        const stored = found.stored
        if (version === main && stored !== null) {
          const { size_bytes, etag } = stored.fragment?.object ?? stored
          entry = { name: stored.name, policy: at.policy, kind: version.kind === 'data' ? 'data' : 'ts', timestamp: version.timestamp, posted, size_bytes: size_bytes ?? 0, etag: stored.sealed === undefined ? (etag ?? '') : '', metadata: stored.metadata ?? {}, ...(stored.sealed === undefined ? {} : { sealed: { root: stored.sealed.root, text: stored.sealed.text } }) }
        }
      }
      return { bytes, damage: null, entry }
    })
  }

  quarantined(device: string): Promise<number> {
    return this.#guard({ device }, async ({ fs, dir }) => {
      const root = join(devicePath(dir, device), 'quarantined')
      let count = 0
      for (const policy of await fs.readdir(root).catch(emptyIfAbsent)) count += (await fs.readdir(join(root, policy)).catch(emptyIfAbsent)).length
      return count
    })
  }

  defer({ device, policy, hash }: { device: string; policy: number; hash: string }, update: ListingUpdate): Promise<void> {
    return this.#guard({ device }, async ({ fs, dir, tmp }) => {
      if (!HASH.test(hash) || !isTimestamp(update.timestamp) || !Number.isInteger(policy) || policy < 0) throw new Fault('bad_request', 'not an update')
      const folder = pendingPath(dir, device, policy)
      const path = tmp.call(this.#disk, device)
      const file = await fs.create(path)
      try {
        await fs.write(file, new TextEncoder().encode(JSON.stringify(update)))
        await fs.sync(file)
      } finally {
        await fs.close(file)
      }
      await fs.mkdir(folder)
      await fs.rename(path, join(folder, `${hash}-${update.timestamp}-${update.op}`))
      await fs.syncFolder(folder)
      await fs.syncFolder(devicePath(dir, device))
    })
  }

  pending(device: string): Promise<PendingUpdate[]> {
    return this.#guard({ device }, async ({ fs }) => {
      const found: PendingUpdate[] = []
      for (const path of await this.#pendingFiles(device)) {
        const file = await fs.open(path)
        try {
          const bytes = new Uint8Array(await fs.size(file))
          await fs.read(file, bytes, 0)
          found.push({ file: path, update: JSON.parse(new TextDecoder().decode(bytes)) as ListingUpdate })
        } finally {
          await fs.close(file)
        }
      }
      return found.sort((a, b) => (a.update.timestamp < b.update.timestamp ? -1 : 1))
    })
  }

  settled(device: string, file: string): Promise<void> {
    return this.#guard({ device }, ({ fs }) => fs.unlink(file))
  }

  pendingCount(device: string): Promise<number> {
    return this.#guard({ device }, async () => (await this.#pendingFiles(device)).length)
  }

  async #pendingFiles(device: string): Promise<string[]> {
    const { fs, dir } = this.#disk
    const found: string[] = []
    for (const folder of await fs.subfolders(devicePath(dir, device))) {
      const policy = policyOf(folder, 'async_pending')
      if (policy !== null) for (const name of await fs.readdir(pendingPath(dir, device, policy))) found.push(join(pendingPath(dir, device, policy), name))
    }
    return found
  }

  /** Reads one version whole. */
  async #check(where: Where, version: Version, paced: (bytes: number) => Promise<void>): Promise<{ stored: StoredVersion | null; damage: string | null; gone: boolean }> {
    try {
      const { stored, body } = await this.read({ ...where, kind: version.kind, timestamp: version.timestamp, ...(version.fragment === null ? {} : { fragment: version.fragment }) })
      // The MD5 is what the client knows the object by; the block sums alone would not tell if they went wrong with it.
      const intake = intakeOf(version.kind === 'data' ? stored : { ...stored, size_bytes: 0, etag: undefined, blocks: '' })
      for await (const chunk of body) {
        intake.push(chunk)
        await paced(chunk.length)
      }
      try {
        intake.finish()
      } catch (error) {
        await this.#disk.quarantine(where, version.file)
        return { stored: null, damage: (error as Error).message, gone: false }
      }
      return { stored, damage: null, gone: false }
    } catch (error) {
      if (isFault(error, 'not_found') || codeOf(error) === 'ENOENT') return { stored: null, damage: null, gone: true }
      if (isFault(error, 'internal') || error instanceof SyntaxError) return { stored: null, damage: (error as Error).message, gone: false }
      if (isFault(error, 'unavailable') && this.#disk.failures()[where.device] === undefined) {
        // The disk is well and this file can't be read: a bad sector.
        await this.#disk.quarantine(where, version.file)
        return { stored: null, damage: error.message, gone: false }
      }
      throw error
    }
  }

  async #set(where: Where): Promise<VersionSet | null> {
    const { data, tombstone, posted, fragments } = resolve(await this.#disk.files(this.#disk.folder(where)))
    if (data === null && tombstone === null && posted === null && fragments.length === 0) return null
    return { hash: where.hash, data: data?.timestamp ?? null, meta: posted, ts: tombstone?.timestamp ?? null, ...(fragments.length === 0 ? {} : { fragments: listed(fragments) }) }
  }

  async #guard<T>(at: { device: string } & Partial<PartitionAt>, work: (disk: ObjectDisk) => Promise<T>): Promise<T> {
    checkDevice(at)
    return await this.#disk.guard(at.device, () => work(this.#disk))
  }
}

/** Holds bytes as they lie against what is stored with them: their MD5, or where they are encrypted (and the MD5 is that of the plain ones) the sums of their blocks. */
function intakeOf(stored: Pick<StoredVersion, 'size_bytes' | 'etag' | 'blocks' | 'sealed' | 'fragment'>): { push(chunk: Uint8Array): void; finish(): { blocks: string; etag?: string } } {
  // A fragment lies as it was given to its host: its MD5 is that of what lies there.
  if (stored.sealed === undefined || stored.fragment !== undefined) {
    const intake = createIntake({ size_bytes: stored.size_bytes ?? 0, etag: stored.etag ?? null })
    return { push: (chunk) => intake.push(chunk), finish() {
      const { blocks = '', etag } = intake.finish()
      return { blocks, etag }
    } }
  }
  const sums = new BlockSums()
  let size = 0
  return {
    push(chunk) {
      size += chunk.length
      sums.push(chunk)
    },
    finish() {
      const blocks = sums.finish()
      if (size < (stored.size_bytes ?? 0)) throw new Fault('client_closed', `the body ended after ${size} of ${stored.size_bytes} bytes`)
      if (size !== (stored.size_bytes ?? 0) || blocks !== (stored.blocks ?? '')) throw new Fault('unprocessable', 'the check sums of an encrypted body are not those that it came with')
      return { blocks }
    },
  }
}

function versionOf(files: readonly string[], at: VersionAt): Version | null {
  const { data, tombstone, meta, posted, obsolete } = resolve(files)
  const known = [data, tombstone, meta].find((version) => version?.kind === at.kind && version.timestamp === at.timestamp)
  if (known) return known
  // A POST over nothing, or over a tombstone: kept for the data that may still come.
  if (at.kind !== 'meta' || posted !== at.timestamp || obsolete.some((version) => version.timestamp === at.timestamp && version.kind === 'meta')) return null
  const file = files.find((name) => name.startsWith(at.timestamp) && name.endsWith('.meta'))
  return file === undefined ? null : { file, timestamp: at.timestamp, kind: 'meta', trailer: file.includes('#m'), fragment: null, durable: false }
}

function isWanted({ base, tombstone, posted }: ReturnType<typeof resolve>, kind: VersionAt['kind'], timestamp: string): boolean {
  if (kind === 'meta') return (base === null || timestamp > base) && (posted === null || timestamp > posted)
  if (base === null || timestamp > base) return true
  // At the same instant a tombstone wins.
  return kind === 'ts' && timestamp === base && tombstone === null
}

