/** Changes what lies on a disk and makes all check sums right again: what only the cipher's tags can tell. */
import type { ObjectReplicas } from '../../agent/drivers/object/replicas.ts'
import { BlockSums } from '../../agent/drivers/object/blocks.ts'
import { sumOfSealed } from '../../agent/drivers/object/sealer.ts'
import type { PartitionAt, StoredVersion, VersionSet } from '../../schema/agent/replication.ts'

const DEVICE = 'd1'

/** Every object on a disk. */
export async function* lyingOn(replicas: ObjectReplicas): AsyncGenerator<{ place: PartitionAt; set: VersionSet }> {
  for (const at of await replicas.partitions(DEVICE)) {
    const place = { device: DEVICE, ...at }
    for (const set of await replicas.versions({ ...place, suffixes: Object.keys(await replicas.suffixes(place)) })) yield { place, set }
  }
}

/** A byte of the body, or a character of the record, of the objects whose path ends so; answers how many were changed. */
export async function tamper(replicas: ObjectReplicas, ending: string, what: 'body' | 'record', byte = 0): Promise<number> {
  let count = 0
  for await (const { place, set } of lyingOn(replicas)) {
    if (set.data === null) continue
    const [fragment] = set.fragments ?? []
    const at = { ...place, hash: set.hash, kind: 'data' as const, timestamp: set.data, ...(fragment === undefined ? {} : { fragment: fragment.index }) }
    const { stored, body } = await replicas.read(at)
    const parts: Uint8Array[] = []
    for await (const chunk of body) parts.push(chunk)
    if (!stored.name.endsWith(ending)) continue
    const bytes = Buffer.concat(parts)
    if (what === 'body') bytes[byte] = (bytes[byte] ?? 0) ^ 1
    if (fragment === undefined) await replicas.drop(place, set)
    else await replicas.dropFragment({ ...place, hash: set.hash }, fragment)
    await replicas.receive({ ...at, stored: summed(what === 'body' ? stored : otherRecord(stored), bytes) }, (async function* () {
      yield bytes
    })())
    count++
  }
  return count
}

function otherRecord(stored: StoredVersion): StoredVersion {
  if (stored.sealed === undefined) throw new Error('it is not encrypted')
  const { text } = stored.sealed
  const sealed = { ...stored.sealed, text: `${text.slice(0, 20)}${text[20] === 'A' ? 'B' : 'A'}${text.slice(21)}` }
  return { ...stored, sealed: { ...sealed, sum: sumOfSealed(sealed) } }
}

function summed({ etag: _, ...stored }: StoredVersion, bytes: Uint8Array): StoredVersion {
  const sums = new BlockSums()
  sums.push(bytes)
  return { ...stored, blocks: sums.finish() }
}
