/** An object's keys between doors: in a header, never in the path, for paths end up in logs of proxies. The path, which is signed, has their digest. */
import { createHash } from 'node:crypto'
import type { ObjectArgs } from '../../schema/agent/protocol.ts'
import type { Sealing } from '../../schema/agent/sealing.ts'
import { Fault } from '../../schema/values/fault.ts'

export const SEALING_HEADER = 'x-skyhook-sealing'

const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** What of a call's arguments stands in the path, and the header that goes with it. */
export function split({ sealing, ...args }: ObjectArgs): { args: ObjectArgs; query: string; headers: Record<string, string> } {
  if (sealing === undefined) return { args, query: '', headers: {} }
  const text = Buffer.from(JSON.stringify(sealing)).toString('base64url')
  return { args, query: `&sealing=${digestOf(text)}`, headers: { [SEALING_HEADER]: text } }
}

/** And back: refused where the header is not the one that was signed. */
export function join(args: ObjectArgs, digest: string | null, header: string | string[] | undefined): ObjectArgs {
  const { sealing: _, ...rest } = args
  if (digest === null) return rest
  if (typeof header !== 'string' || digestOf(header) !== digest) throw new Fault('unauthorized', 'The keys are not those that were signed.')
  return { ...rest, sealing: JSON.parse(Buffer.from(header, 'base64url').toString()) as Sealing }
}
