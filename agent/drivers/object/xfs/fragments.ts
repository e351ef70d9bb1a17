/**
 * Fragments of erasure-coded objects on one disk. A write comes in two steps: the fragment with all that is known of the object, under a name that does not count; and, once
 * enough hosts have theirs on disk, the renaming to one that does, which is when what it replaces goes. So a write that breaks off shows nowhere and destroys nothing.
 * A fragment is checked like any body: block by block before any of it is given, and whole by the auditor.
 */
import { join } from 'node:path'
import { type FragmentFound, type FragmentsFound, FRAGMENT_FOOTER_BYTES, type FragmentFooter, type ObjectArgs, type ObjectHead } from '../../../../schema/agent/protocol.ts'
import type { FragmentAt, VersionAt } from '../../../../schema/agent/replication.ts'
import { archiveBytes, checkScheme } from '../../../../schema/values/erasure.ts'
import { Fault, isFault } from '../../../../schema/values/fault.ts'
import type { Random } from '../../../../schema/values/random.ts'
import { checkRange, noSuchObject, tooOld } from '../args.ts'
import { createIntake } from '../intake.ts'
import { openVersion, sealFragment } from '../sealer.ts'
import { Body } from './body.ts'
import { discard, draft, readMetadata, type Stored } from './commit.ts'
import { codeOf, type ObjectDisk, ROOM_CHECK_BYTES, type Where } from './disk.ts'
import { headOf, refuseOlder } from './heads.ts'
import { type Resolved, resolve, type Version, versionFile } from './paths.ts'

/** A reader that finds its file renamed or superseded looks again. */
const READ_ATTEMPTS_MAX = 5

/** Keeps the last bytes of a body back: they are no part of it. */
class Footer {
  #held: Uint8Array = new Uint8Array(0)

  /** What is surely body. */
  push(chunk: Uint8Array): Uint8Array[] {
    const free = this.#held.length + chunk.length - FRAGMENT_FOOTER_BYTES
    if (free <= 0) {
      this.#held = Buffer.concat([this.#held, chunk])
      return []
    }
    const ready = [this.#held.subarray(0, free), chunk.subarray(0, Math.max(0, free - this.#held.length))]
    this.#held = Buffer.concat([this.#held.subarray(free), chunk.subarray(Math.max(0, free - this.#held.length))])
    return ready.filter((part) => part.length > 0)
  }

  finish(): FragmentFooter {
    if (this.#held.length !== FRAGMENT_FOOTER_BYTES) throw new Fault('client_closed', 'the fragment ended before its footer')
    const facts = JSON.parse(new TextDecoder().decode(this.#held)) as FragmentFooter
    if (!Number.isInteger(facts.size_bytes) || facts.size_bytes < 0 || typeof facts.etag !== 'string') throw new Fault('bad_request', 'the footer of the fragment says nothing of its object')
    return facts
  }
}

export async function putFragment(disk: ObjectDisk, random: Pick<Random, 'bytes'>, args: ObjectArgs, body: AsyncIterable<Uint8Array>): Promise<ObjectHead> {
  const { index = -1, scheme } = args.fragment ?? {}
  if (scheme === undefined) throw new Fault('bad_request', 'the fragment has no scheme')
  checkScheme(scheme)
  if (!Number.isInteger(index) || index < 0 || index >= scheme.data + scheme.parity) throw new Fault('bad_request', `there is no fragment ${index}`)
  refuseOlder(args, resolve(await disk.files(disk.folder(args))))
  await disk.refuseFull(args.device, args.size_bytes ?? 0)
  let data: Stored = { name: args.name, timestamp: args.timestamp }
  const made = await draft(disk.fs, disk.tmp(args.device), 'data', async (write) => {
    const intake = createIntake({ size_bytes: typeof args.size_bytes === 'number' ? args.size_bytes - FRAGMENT_FOOTER_BYTES : null })
    const footer = new Footer()
    let unchecked = 0
    for await (const chunk of body) {
      for (const part of footer.push(chunk)) {
        intake.push(part)
        await write(part)
      }
      unchecked += chunk.length
      if (unchecked < ROOM_CHECK_BYTES) continue
      await disk.refuseFull(args.device, 0)
      unchecked = 0
    }
    const { sealed, ...object } = footer.finish()
    if ((args.sealing?.seal === true) !== (sealed !== undefined)) throw new Fault('bad_request', 'a fragment is of an encrypted object, or it is not')
    const found = intake.finish()
    if (found.size_bytes !== archiveBytes(scheme, object.size_bytes)) throw new Fault('bad_request', `a fragment of ${found.size_bytes} bytes is none of an object of ${object.size_bytes}`)
    data = { ...data, metadata: args.metadata ?? {}, ...found, fragment: { index, scheme, object } }
    if (sealed === undefined || args.sealing === undefined) return data
    const made = sealFragment(data, sealed, args.sealing, random)
    data = openVersion('data', made, args.sealing).stored
    return made
  })
  await disk.placeIf(args, made, async (resolved) => {
    refuseOlder(args, resolved)
    const there = resolved.fragments.find((version) => version.timestamp === args.timestamp && version.fragment === index)
    if (there === undefined) return true
    // The same PUT again, its first answer lost.
    const stored = await disk.stored(join(disk.folder(args), there.file), there.trailer)
    if (stored.etag !== made.stored.etag || stored.fragment?.object.etag !== made.stored.fragment?.object.etag) throw tooOld(args.timestamp)
    await disk.settleFolder(args)
    return false
  })
  return headOf({ data, post: null })
}

/** From now on the fragments of this write count. False where there are none. */
export function commitFragments(disk: ObjectDisk, at: Where, timestamp: string): Promise<boolean> {
  const folder = disk.folder(at)
  return disk.lanes.run(folder, async () => {
    const mine = resolve(await disk.files(folder)).fragments.filter((version) => version.timestamp === timestamp)
    if (mine.length === 0) return false
    await disk.hashes.changing(at, async () => {
      for (const version of mine) if (!version.durable) await disk.fs.rename(join(folder, version.file), join(folder, versionFile(timestamp, 'data', version.trailer, version.fragment, true)))
      await disk.settleFolder(at)
    })
    for (const { file } of resolve(await disk.files(folder)).obsolete) await discard(disk.fs, join(folder, file))
    return true
  })
}

/** What there is of the object, read from each fragment that counts or may come to count. */
export async function findFragments(disk: ObjectDisk, args: ObjectArgs): Promise<FragmentsFound> {
  const folder = disk.folder(args)
  for (let attempt = 1; ; attempt++) {
    const resolved = resolve(await disk.files(folder))
    try {
      const meta = resolved.meta === null ? null : await readStored(disk, args, resolved.meta)
      const post = meta === null ? null : openVersion('meta', meta, args.sealing).stored
      const fragments: FragmentFound[] = []
      for (const version of resolved.fragments) {
        const stored = await readStored(disk, args, version)
        if (stored?.fragment === undefined || stored.name !== args.name) continue
        const { index, scheme, object } = stored.fragment
        const key = stored.sealed?.key
        const counts = version.timestamp === resolved.data?.timestamp
        const data = opened(stored, args, counts)
        if (data === null) continue
        fragments.push({ at: version.timestamp, index, durable: counts, scheme, head: headOf({ data, post: counts ? post : null }), ...(key === undefined ? {} : { sealed: { mark: object.etag, key } }) })
      }
      return { fragments, gone: resolved.tombstone?.timestamp ?? null }
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt >= READ_ATTEMPTS_MAX) throw error
    }
  }
}

/** Null for one that may come to count and can't be opened: what counts is to be had all the same. */
function opened(stored: Stored, { sealing }: ObjectArgs, counts: boolean): Stored | null {
  try {
    return openVersion('data', stored, sealing).stored
  } catch (error) {
    if (counts || !isFault(error, 'internal')) throw error
    return null
  }
}

/** Null where it can't be understood: then it was put aside. */
async function readStored(disk: ObjectDisk, at: Where, version: Version): Promise<Stored | null> {
  try {
    return await disk.stored(join(disk.folder(at), version.file), version.trailer)
  } catch (error) {
    if (!(isFault(error, 'internal') || error instanceof SyntaxError)) throw error
    await disk.quarantine(at, version.file)
    return null
  }
}

/** The bytes of one fragment; the head is the object's. */
export async function getFragment(disk: ObjectDisk, args: ObjectArgs): Promise<{ head: ObjectHead; body: AsyncIterable<Uint8Array> }> {
  const folder = disk.folder(args)
  for (let attempt = 1; ; attempt++) {
    const resolved = resolve(await disk.files(folder))
    const version = named(resolved, args.fragment?.at ?? '', args.fragment?.index ?? -1)
    if (version === undefined) throw noSuchObject(resolved.tombstone?.timestamp ?? null)
    try {
      return await open(disk, args, version)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt >= READ_ATTEMPTS_MAX) throw error
    }
  }
}

async function open(disk: ObjectDisk, args: ObjectArgs, version: Version): Promise<{ head: ObjectHead; body: AsyncIterable<Uint8Array> }> {
  const file = await disk.fs.open(join(disk.folder(args), version.file))
  // A commit may rename it meanwhile: what is damaged is put aside under the name that it has then.
  const damaged = async () => {
    const now = named(resolve(await disk.files(disk.folder(args))), version.timestamp, version.fragment ?? -1)
    if (now !== undefined) await disk.quarantine(args, now.file)
  }
  try {
    const stored = await readMetadata(disk.fs, file, version.trailer)
    if (stored.name !== args.name || stored.fragment?.index !== version.fragment) throw new Fault('internal', 'the file in the place of this fragment is of another one')
    const body = new Body({ fs: disk.fs, file, stored, range: checkRange(args.range, stored.size_bytes ?? 0), damaged, named: (error) => disk.named(error, args.device) })
    await body.prime()
    const head = headOf({ data: stored, post: null })
    // Of an encrypted object the mark of the write: to tell it by, no key is needed.
    return { head: stored.sealed === undefined ? head : { ...head, etag: stored.fragment.object.etag }, body }
  } catch (error) {
    await disk.fs.close(file).catch(() => {})
    throw error
  }
}

const named = ({ fragments }: Resolved, timestamp: string, index: number): Version | undefined => fragments.find((version) => version.timestamp === timestamp && version.fragment === index)

/** A fragment that is asked for by another host. */
export const fragmentOf = (files: readonly string[], at: VersionAt): Version | null => named(resolve(files), at.timestamp, at.fragment ?? -1) ?? null

/** As others are told of them; a fragment beside one that counts counts too. */
export function listed(fragments: readonly Version[]): FragmentAt[] {
  const counts = new Set(fragments.filter((version) => version.durable).map((version) => version.timestamp))
  return fragments.map(({ timestamp, fragment, durable }) => ({ timestamp, index: fragment ?? 0, durable: durable || counts.has(timestamp) })).sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : a.index - b.index))
}

/** Taken in from another host: of what is acknowledged, each number once. */
export function isWantedFragment({ base, data, fragments }: Resolved, timestamp: string, index: number): boolean {
  if (base === null || timestamp > base) return true
  return timestamp === data?.timestamp && !fragments.some((version) => version.timestamp === timestamp && version.fragment === index && version.durable)
}
