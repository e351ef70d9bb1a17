/** What stored versions mean to those who ask: the object as it is known, whether all of it lies here or a fragment. Pure. */
import type { ObjectArgs, ObjectHead } from '../../../../schema/agent/protocol.ts'
import { mergeMetadata, tooOld } from '../args.ts'
import type { Stored } from './commit.ts'
import type { Resolved } from './paths.ts'

export function headOf({ data, post }: { data: Stored; post: Stored | null }): ObjectHead {
  // What an encrypted object is known by is in its record, whichever fragment of it lies here.
  const { etag, sha512, digests, inspection } = data.sealed === undefined ? (data.fragment?.object ?? data) : data
  const { size_bytes } = data.fragment?.object ?? data
  return {
    timestamp: post?.timestamp ?? data.timestamp,
    data_at: data.timestamp,
    size_bytes: size_bytes ?? 0,
    etag: etag ?? '',
    metadata: mergeMetadata(data.metadata ?? {}, post?.metadata ?? null),
    ...(sha512 === undefined ? {} : { sha512 }),
    ...(digests === undefined ? {} : { digests }),
    ...(inspection === undefined ? {} : { inspection }),
    ...(data.sealed === undefined ? {} : { sealed: true as const }),
  }
}

export function refuseOlder(args: Pick<ObjectArgs, 'timestamp'>, { base, tombstone }: Pick<Resolved, 'base' | 'tombstone'>): void {
  if (base !== null && (args.timestamp < base || tombstone?.timestamp === args.timestamp)) throw tooOld(base)
}
