/**
 * What a host's word about an object is worth. A host says what its own disks have; whether that is so is asked of the others: of partitions that it can't know of nothing is
 * believed, and nothing that as many others as a quorum needs do not say too. What they do not say yet is not believed yet: replication brings it to them, and the host says it again.
 */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ObjectHead } from '../../schema/agent/protocol.ts'
import type { ObjectName } from './names.ts'
import { type Located, locate, nearHandoffs } from './placement.ts'
import { quorumOf } from './replica-calls.ts'
import { type Answer, ask, dataAt, newest } from './replicas-read.ts'
import type { RingDevice } from './ring.ts'

export interface Claim {
  /** As it is stored: a version lies under a name of its own. */
  name: ObjectName
  policy: number
  /** 'data' was written, 'ts' deleted, 'meta' posted to at that time. */
  kind: 'data' | 'meta' | 'ts'
  at: string
}

/** `head` is null where there is nobody else to ask, and for a deletion. 'stale': something newer is known. */
export type Verdict = { belief: 'so'; head: ObjectHead | null } | { belief: 'stale' | 'later' }

/** Whether a host has a device that may hold something of this partition: assigned, assigned before, standing in, or on its way out of the ring. */
export const mayKnow = (at: Located, hostId: string, devices: readonly RingDevice[]): boolean =>
  [...at.primaries, ...at.formers, ...nearHandoffs(at)].some((device) => device.host_id === hostId) || devices.some((device) => device.host_id === hostId && device.weight === 0)

const newestOf = ({ head, gone }: Answer): string => [head === null ? '' : dataAt(head), gone ?? ''].sort().at(-1) ?? ''

function confirms({ kind, at }: Claim, answer: Answer, isPrimary: boolean): boolean {
  const { head, gone, lost } = answer
  if (lost) return false
  if (kind === 'data') return head !== null && dataAt(head) === at
  if (kind === 'meta') return head !== null && head.timestamp >= at
  // A tombstone that was reclaimed was everywhere; a handoff that has nothing says nothing.
  return gone === null ? isPrimary && head === null : gone >= at
}

/** Holds a claim of one host against what the others have. */
export async function believe(env: Env, hostId: string, claim: Claim, now_ms: number): Promise<Verdict> {
  const at = await locate(env, claim.name, claim.policy, now_ms)
  const others = (devices: readonly RingDevice[]) => devices.filter((device) => device.host_id !== hostId)
  const [first, second] = [others([...at.primaries, ...at.formers]), others(nearHandoffs(at))]
  const needed = quorumOf(at.primaries.length) - (at.primaries.some((device) => device.host_id === hostId) ? 1 : 0)
  const look = (devices: readonly RingDevice[]) => Promise.all(devices.map((device) => ask(env, at, device, now_ms)))
  const agreeing = () => answers.filter((answer) => confirms(claim, answer, at.primaries.includes(answer.device)))
  const answers = await look(first)
  if (agreeing().length < needed) answers.push(...(await look(second)))
  if (answers.some((answer) => newestOf(answer) > claim.at)) return { belief: 'stale' }
  // Someone still has what is said to be gone: it will be told.
  if (claim.kind === 'ts' && answers.some(({ head }) => head !== null)) return { belief: 'later' }
  const agreed = agreeing()
  if (agreed.length < Math.min(needed, first.length + second.length)) return { belief: 'later' }
  const heads = agreed.map(({ head }) => head).filter((head) => head !== null)
  return { belief: 'so', head: heads.length === 0 ? null : newest(heads) }
}
