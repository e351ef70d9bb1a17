/**
 * What a reader doubts is looked at again: check sums tell what changed after it was written, not what was written wrong, or changed by who can compute a check sum. A reader with the
 * keys sees that, and says so only once it has read another replica right. Nothing is put aside on its word alone where this host can see for itself: a block, or a record, that does
 * not open with the key that opens the others. Of a fragment the reader names the bytes that it got, and they must still be those.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { ObjectArgs } from '../../../../schema/agent/protocol.ts'
import { isUnopened } from '../../../../schema/agent/sealing.ts'
import { isFault } from '../../../../schema/values/fault.ts'
import { checkRange } from '../args.ts'
import { type BodyOpener, openVersion } from '../sealer.ts'
import { Body } from './body.ts'
import { readMetadata, type Stored } from './commit.ts'
import type { ObjectDisk } from './disk.ts'
import { resolve, type Version } from './paths.ts'

/** Looks at the version of args.timestamp; true where something of it was put aside. */
export async function lookAgain(disk: ObjectDisk, args: ObjectArgs): Promise<boolean> {
  const { data, meta, fragments } = resolve(await disk.files(disk.folder(args)))
  let isAside = false
  for (const version of fragments) {
    if (version.timestamp !== args.timestamp || (args.fragment !== undefined && version.fragment !== args.fragment.index)) continue
    isAside = (args.fragment === undefined ? await isUnreadable(disk, args, version) : await isStill(disk, args, version)) || isAside
  }
  if (data !== null && data.timestamp === args.timestamp && data.fragment === null) isAside = await isUnreadable(disk, args, data, args.range ?? null)
  if (meta !== null && data?.timestamp === args.timestamp && !isAside) isAside = await isUnreadable(disk, args, meta)
  return isAside
}

interface Opened {
  file: unknown
  stored: Stored
  opener: BodyOpener | null
}

async function opened(disk: ObjectDisk, args: ObjectArgs, version: Version, withKeys: boolean): Promise<Opened> {
  const file = await disk.fs.open(join(disk.folder(args), version.file))
  try {
    const stored = await readMetadata(disk.fs, file, version.trailer)
    const { opener } = withKeys ? openVersion(version.kind, stored, args.sealing) : { opener: null }
    return { file, stored, opener }
  } catch (error) {
    await disk.fs.close(file).catch(() => {})
    throw error
  }
}

const bodyOf = (disk: ObjectDisk, args: ObjectArgs, version: Version, { file, stored, opener }: Opened, range: [number, number] | null): Body =>
  new Body({ fs: disk.fs, file, stored, opener, range: range === null ? null : checkRange(range, stored.size_bytes ?? 0), damaged: () => disk.quarantine(args, version.file), named: (error) => disk.named(error, args.device) })

/** Its record, or the blocks of that range, do not open though their check sums hold. */
async function isUnreadable(disk: ObjectDisk, args: ObjectArgs, version: Version, range: [number, number] | null = null): Promise<boolean> {
  try {
    for await (const _ of bodyOf(disk, args, version, await opened(disk, args, version, true), range)) continue
    return false
  } catch (error) {
    if (!isFault(error, 'internal') && !(error instanceof SyntaxError)) throw error
    // A key that did not come along says nothing of the bytes.
    if (isFault(error) && (error.details as { root?: unknown } | undefined)?.root !== undefined) return false
    if (error instanceof SyntaxError || isUnopened(error)) await disk.quarantine(args, version.file)
    return true
  }
}

/** The fragment still has the bytes that were found wrong. */
async function isStill(disk: ObjectDisk, args: ObjectArgs, version: Version): Promise<boolean> {
  if (args.sum === undefined || args.range == null) return false
  const md5 = createHash('md5')
  for await (const chunk of bodyOf(disk, args, version, await opened(disk, args, version, false), args.range)) md5.update(chunk)
  if (md5.digest('hex') !== args.sum) return false
  await disk.quarantine(args, version.file)
  return true
}
