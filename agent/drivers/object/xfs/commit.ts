/**
 * How a version comes into being: a file in `tmp` gets body and metadata, is synced, renamed into its folder, and the folder is
 * synced. So at any instant there is the old state or the new, and what was acknowledged survives a power cut.
 *
 * Metadata is JSON in `user.skyhook.metadata`, `...metadata1`, and so on, 64 KiB each. File systems that refuse (ext4 has 4 KiB for
 * all attributes, some have none) get it at the end of the file: body, JSON, then 16 bytes: "SKYHMETA", u32 length of the JSON, u32 zero.
 * The mark `#m` in the name says so, and nothing else differs: still one file, one rename.
 */
import { dirname, join } from 'node:path'
import type { StoredVersion, VersionKind } from '../../../../schema/agent/replication.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import { METADATA_BYTES_MAX } from '../args.ts'
import { sumOfSealed } from '../sealer.ts'
import type { ObjectFs } from './fs.ts'
import { versionFile } from './paths.ts'
import { XATTR_BYTES_MAX } from './xattr.ts'

export type Stored = StoredVersion

const XATTR_NAME = 'user.skyhook.metadata'
const TRAILER_MAGIC = 'SKYHMETA'
const TRAILER_BYTES = 16
/** Answers that mean "not in attributes": no room for them, too long, not supported. */
const NO_XATTR = new Set(['ENOSPC', 'E2BIG', 'ERANGE', 'EOPNOTSUPP', 'ENOTSUP', 'EPERM', 'EDQUOT'])

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '')

/** Writes the metadata into an open file whose body is complete. True where it went to the end of the file. */
export async function writeMetadata<F>(fs: ObjectFs<F>, file: F, stored: Stored): Promise<boolean> {
  const json = new TextEncoder().encode(JSON.stringify(stored))
  try {
    for (let part = 0; part * XATTR_BYTES_MAX < json.length; part++) {
      await fs.setxattr(file, xattrName(part), json.subarray(part * XATTR_BYTES_MAX, (part + 1) * XATTR_BYTES_MAX))
    }
    // A part that is exactly full is followed by another, so that the reader knows where the end is.
    if (json.length % XATTR_BYTES_MAX === 0) await fs.setxattr(file, xattrName(json.length / XATTR_BYTES_MAX), new Uint8Array(0))
    return false
  } catch (error) {
    if (!NO_XATTR.has(codeOf(error))) throw error
  }
  const end = new Uint8Array(TRAILER_BYTES)
  end.set(new TextEncoder().encode(TRAILER_MAGIC))
  new DataView(end.buffer).setUint32(8, json.length)
  await fs.write(file, json)
  await fs.write(file, end)
  return true
}

export async function readMetadata<F>(fs: ObjectFs<F>, file: F, trailer: boolean): Promise<Stored> {
  const json = trailer ? await readTrailer(fs, file) : await readXattrs(fs, file)
  const stored = JSON.parse(new TextDecoder().decode(json)) as Stored
  if (typeof stored.name !== 'string' || typeof stored.timestamp !== 'string') throw damaged()
  if (stored.sealed !== undefined && sumOfSealed(stored.sealed) !== stored.sealed.sum) throw damaged()
  return stored
}

const xattrName = (part: number): string => `${XATTR_NAME}${part === 0 ? '' : part}`
const damaged = (): Fault => new Fault('internal', 'the metadata of a stored object is damaged')

async function readXattrs<F>(fs: ObjectFs<F>, file: F): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (;;) {
    const part = await fs.getxattr(file, xattrName(parts.length))
    if (part === null) throw damaged()
    parts.push(part)
    if (part.length < XATTR_BYTES_MAX) return Buffer.concat(parts)
  }
}

async function readTrailer<F>(fs: ObjectFs<F>, file: F): Promise<Uint8Array> {
  const size = await fs.size(file)
  const end = new Uint8Array(TRAILER_BYTES)
  if (size < TRAILER_BYTES || (await fs.read(file, end, size - TRAILER_BYTES)) !== TRAILER_BYTES) throw damaged()
  const length = new DataView(end.buffer).getUint32(8)
  if (new TextDecoder().decode(end.subarray(0, 8)) !== TRAILER_MAGIC || length > 2 * METADATA_BYTES_MAX || length > size - TRAILER_BYTES) throw damaged()
  const json = new Uint8Array(length)
  await fs.read(file, json, size - TRAILER_BYTES - length)
  return json
}

/** A file in tmp with body, metadata and a sync behind it; ready to be placed, or to be thrown away. */
export interface Draft {
  path: string
  kind: VersionKind
  trailer: boolean
  stored: Stored
  /** A fragment that counts from its place on: it comes from hosts that know of the acknowledgement. */
  durable?: boolean
}

export async function draft<F>(fs: ObjectFs<F>, path: string, kind: VersionKind, fill: (write: (chunk: Uint8Array) => Promise<void>) => Promise<Stored>, long = false): Promise<Draft> {
  const file = await fs.create(path, long)
  try {
    let stored: Stored
    let trailer: boolean
    try {
      stored = await fill((chunk) => fs.write(file, chunk))
      trailer = await writeMetadata(fs, file, stored)
      await fs.sync(file)
    } finally {
      await fs.close(file)
    }
    return { path, kind, trailer, stored }
  } catch (error) {
    await discard(fs, path)
    throw error
  }
}

/** What cannot be removed now is removed at the next start. */
export const discard = (fs: ObjectFs, path: string): Promise<void> => fs.unlink(path).catch(() => {})

/** Puts the draft in its folder. After it returns the version is there for good. `there`: the folder was there a moment ago. */
export async function place(fs: ObjectFs, made: Draft, device: string, folder: string, lasting: Set<string>, there = false): Promise<void> {
  if (!there) await fs.mkdir(folder)
  await fs.rename(made.path, join(folder, nameOf(made)))
  await settle(fs, device, folder, lasting)
}

/** Of the draft, once it is placed. */
export const nameOf = (made: Draft): string => versionFile(made.stored.timestamp, made.kind, made.trailer, made.stored.fragment?.index ?? null, made.durable)

/**
 * Makes sure of what the folder shows, all levels of it at once. Needed where a version is found in place too: an earlier process may have died between its
 * rename and its sync, or after making the folders above. `lasting`: partitions that this process knows to be on disk; what is above them needs no second sync.
 */
export async function settle(fs: ObjectFs, device: string, folder: string, lasting: Set<string>): Promise<void> {
  const partition = dirname(dirname(folder))
  const paths: string[] = []
  for (let path = folder; path.length >= device.length; path = dirname(path)) {
    paths.push(path)
    if (path === partition && lasting.has(partition)) break
  }
  await Promise.all(paths.map((path) => fs.syncFolder(path)))
  lasting.add(partition)
}
