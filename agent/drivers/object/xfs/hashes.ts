/**
 * Hashes of what lies under each suffix of a partition, for the replicator: kept in `hashes.json` in the partition's folder, so that comparing costs no walk through the
 * disk. Before anything under a suffix changes, an empty file `dirty-<suffix>` is made beside it; the sync of the change makes it last as well. What is dirty, or not in
 * the file, is computed anew. So a crash, or a power cut, at any point leaves too much to compute and never a wrong hash. While a change goes on its mark stays, whoever
 * compares meanwhile: what is computed then may be of before it, and is not kept.
 *
 * What was found unchanged is also kept in memory until something changes in the partition's folder: a pass over disks where nothing happens costs a look at each folder's time.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { PartitionAt } from '../../../../schema/agent/replication.ts'
import type { ObjectDisk, Where } from './disk.ts'
import type { ObjectFs } from './fs.ts'
import { resolve, suffixOf } from './paths.ts'

const FILE = 'hashes.json'
const DIRTY = /^dirty-([0-9a-f]{3})$/
export const SUFFIX = /^[0-9a-f]{3}$/
/** Of all partitions that are kept in memory, about 150 bytes each. */
export const KEPT_SUFFIXES_MAX = 50_000

/** Hash ('' where nothing counts), the timestamp of the oldest tombstone under it ('' for none), which fragments there are, and the oldest of those that do not count. */
type Entry = [hash: string, oldest: string, fragments?: number[], pending?: string]

export interface PartitionHashes {
  suffixes: Record<string, string>
  oldest_tombstone: string
  /** Numbers of the fragments that lie there. */
  fragments: number[]
  /** Suffix -> oldest timestamp of a fragment that no acknowledgement is known of. */
  pending: Record<string, string>
}

/** What an object's versions contribute: the same on every replica that has the same versions. */
export function lineOf(hash: string, files: readonly string[]): { line: string; tombstone: string } | null {
  const { data, tombstone, posted } = resolve(files)
  if (data === null && tombstone === null && posted === null) return null
  return { line: `${hash} ${data?.timestamp ?? '-'} ${posted ?? '-'} ${tombstone?.timestamp ?? '-'}\n`, tombstone: data === null && posted === null ? (tombstone?.timestamp ?? '') : '' }
}

const sizeOf = (found: PartitionHashes): number => 1 + Object.keys(found.suffixes).length

export class HashCache {
  #disk: ObjectDisk
  /** Suffixes whose mark is on disk, by partition folder. */
  #dirty = new Map<string, Set<string>>()
  /** Changes under way, by folder of the suffix, and by partition. */
  #active = new Map<string, number>()
  #busy = new Map<string, number>()
  /** By partition folder: as it is now. */
  #kept = new Map<string, { found: PartitionHashes; stamp: string }>()
  #keptSuffixes = 0
  /** Partition folders that are being computed, while no change began or ended there. */
  #still = new Set<string>()

  constructor(disk: ObjectDisk) {
    this.#disk = disk
  }

  get #fs(): ObjectFs {
    return this.#disk.fs
  }

  /** Makes a change under this object's suffix. */
  async changing<T>(at: Where, work: () => Promise<T>): Promise<T> {
    const folder = this.#disk.partition(at)
    const suffix = suffixOf(at.hash)
    const path = join(folder, suffix)
    this.#active.set(path, (this.#active.get(path) ?? 0) + 1)
    this.#busy.set(folder, (this.#busy.get(folder) ?? 0) + 1)
    this.#outdated(folder)
    try {
      // Marks that are being taken away are no marks: those who do are waited for.
      if (!this.#dirtyOf(folder).has(suffix)) await this.#marking(folder, () => this.#setMark(folder, suffix))
      return await work()
    } finally {
      lessen(this.#active, path)
      lessen(this.#busy, folder)
      this.#outdated(folder)
    }
  }

  #outdated(folder: string): void {
    this.#still.delete(folder)
    const kept = this.#kept.get(folder)
    if (kept === undefined) return
    this.#kept.delete(folder)
    this.#keptSuffixes -= sizeOf(kept.found)
  }

  #keep(folder: string, found: PartitionHashes, stamp: string): void {
    this.#outdated(folder)
    if (this.#keptSuffixes + sizeOf(found) > KEPT_SUFFIXES_MAX) return
    this.#kept.set(folder, { found, stamp })
    this.#keptSuffixes += sizeOf(found)
  }

  async #setMark(folder: string, suffix: string): Promise<void> {
    const mark = join(folder, `dirty-${suffix}`)
    await this.#mark(mark).catch(async (error: { code?: string }) => {
      if (error.code !== 'ENOENT') throw error
      await this.#fs.mkdir(folder)
      await this.#mark(mark)
    })
    this.#dirtyOf(folder).add(suffix)
  }

  /** One at a time for each partition. */
  #marking<T>(folder: string, work: () => Promise<T>): Promise<T> {
    return this.#disk.lanes.run(`marks ${folder}`, work)
  }

  /** A suffix lost its last object. A partition without any has nothing to keep hashes of. */
  emptied(at: Where): Promise<void> {
    const folder = this.#disk.partition(at)
    return this.#marking(folder, async () => {
      const left = await this.#fs.readdir(folder).catch(() => ['?'])
      // An object that is coming has its mark there.
      if (this.#busy.has(folder) || left.some((name) => name !== FILE && !DIRTY.test(name))) return
      this.#outdated(folder)
      this.#dirty.delete(folder)
      this.#disk.lasting.delete(folder)
      for (const name of left) await this.#fs.unlink(join(folder, name)).catch(() => {})
      await this.#fs.rmdir(folder).catch(() => {})
    })
  }

  /** The device went away; another disk may come in its place. */
  forget(device: string): void {
    const prefix = `${join(this.#disk.dir, device)}/`
    for (const folder of new Set([...this.#dirty.keys(), ...this.#kept.keys(), ...this.#still])) {
      if (!folder.startsWith(prefix)) continue
      this.#dirty.delete(folder)
      this.#outdated(folder)
    }
  }

  /** One at a time for each partition: of two, the slower would keep what the other knows to be old. */
  of(at: PartitionAt): Promise<PartitionHashes> {
    const folder = this.#disk.partition(at)
    return this.#disk.lanes.run(`hashes ${folder}`, async () => {
      const stamp = await this.#fs.folderStamp(folder)
      const kept = this.#kept.get(folder)
      if (kept !== undefined && kept.stamp === stamp) return kept.found
      this.#still.add(folder)
      const found = await this.#of(at, folder)
      // Where something was written, by whomever, the next look tells whether it stays like that.
      const isQuiet = stamp !== null && !this.#busy.has(folder) && (await this.#fs.folderStamp(folder)) === stamp
      if (isQuiet && this.#still.has(folder)) this.#keep(folder, found, stamp)
      this.#still.delete(folder)
      return found
    })
  }

  async #of(at: PartitionAt, folder: string): Promise<PartitionHashes> {
    const { present, known } = await this.#marking(folder, async () => {
      const dirty = this.#dirtyOf(folder)
      const names = await this.#disk.files(folder)
      const present = names.filter((name) => SUFFIX.test(name)).sort()
      const marked = [...new Set([...names.map((name) => DIRTY.exec(name)?.[1]).filter((suffix) => suffix !== undefined), ...dirty])]
      const kept = await this.#read(folder)
      const known = new Map(Object.entries(kept).filter(([suffix]) => present.includes(suffix) && !marked.includes(suffix)))
      // First the file forgets them, then the marks go: a death in between costs only work.
      if (marked.some((suffix) => kept[suffix] !== undefined)) await this.#write(folder, at.device, known)
      for (const suffix of marked) {
        if (this.#active.has(join(folder, suffix))) continue
        dirty.delete(suffix)
        await this.#fs.unlink(join(folder, `dirty-${suffix}`)).catch(() => {})
      }
      return { present, known }
    })
    // A change that was under way before it began to be computed is dirty still, one that begins later is so before anything is changed.
    const missing = present.filter((suffix) => !known.has(suffix))
    const all = new Map(known)
    for (const suffix of missing) {
      const entry = await this.#compute(join(folder, suffix))
      if (entry !== null) all.set(suffix, entry)
    }
    if (missing.length > 0) await this.#marking(folder, () => this.#write(folder, at.device, new Map([...all].filter(([suffix]) => !this.#dirtyOf(folder).has(suffix)))))
    const counted = [...all].filter(([, [hash]]) => hash !== '').sort(([a], [b]) => (a < b ? -1 : 1))
    const tombstones = [...all.values()].map(([, oldest]) => oldest).filter((oldest) => oldest !== '').sort()
    return {
      suffixes: Object.fromEntries(counted.map(([suffix, [hash]]) => [suffix, hash])),
      oldest_tombstone: tombstones[0] ?? '',
      fragments: [...new Set([...all.values()].flatMap(([, , fragments = []]) => fragments))],
      pending: Object.fromEntries([...all].flatMap(([suffix, [, , , pending = '']]) => (pending === '' ? [] : [[suffix, pending]]))),
    }
  }

  async #compute(path: string): Promise<Entry | null> {
    const sum = createHash('md5')
    let [oldest, pending] = ['', '']
    let count = 0
    const numbers = new Set<number>()
    for (const hash of (await this.#disk.files(path)).sort()) {
      const files = await this.#fs.readdir(join(path, hash)).catch(() => [])
      for (const { fragment, durable, timestamp } of resolve(files).fragments) {
        if (durable) numbers.add(fragment ?? 0)
        else if (pending === '' || timestamp < pending) pending = timestamp
      }
      const found = lineOf(hash, files)
      if (found === null) continue
      count++
      sum.update(found.line)
      if (found.tombstone !== '' && (oldest === '' || found.tombstone < oldest)) oldest = found.tombstone
    }
    if (count === 0) return pending === '' ? null : ['', '', [], pending]
    return numbers.size === 0 && pending === '' ? [sum.digest('hex'), oldest] : [sum.digest('hex'), oldest, [...numbers], pending]
  }

  #dirtyOf(folder: string): Set<string> {
    const found = this.#dirty.get(folder) ?? new Set<string>()
    this.#dirty.set(folder, found)
    return found
  }

  async #mark(path: string): Promise<void> {
    try {
      await this.#fs.close(await this.#fs.create(path))
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw error
    }
  }

  /** Nothing where it is not there or not whole. */
  async #read(folder: string): Promise<Record<string, Entry>> {
    try {
      const file = await this.#fs.open(join(folder, FILE))
      try {
        const bytes = new Uint8Array(await this.#fs.size(file))
        await this.#fs.read(file, bytes, 0)
        return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, Entry>
      } finally {
        await this.#fs.close(file)
      }
    } catch {
      return {}
    }
  }

  async #write(folder: string, device: string, entries: Map<string, Entry>): Promise<void> {
    const path = this.#disk.tmp(device)
    const file = await this.#fs.create(path)
    try {
      await this.#fs.write(file, new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries))))
    } finally {
      await this.#fs.close(file)
    }
    await this.#fs.rename(path, join(folder, FILE))
  }
}

function lessen(counts: Map<string, number>, key: string): void {
  const left = (counts.get(key) ?? 1) - 1
  if (left === 0) counts.delete(key)
  else counts.set(key, left)
}
