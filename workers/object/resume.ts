/**
 * Going on with a body in the middle of it: the same bytes of the same version, from the byte where the first host left off. An encrypted one may have broken off because it does not
 * open there: once another host has opened that block, the first one is asked to look at it again.
 */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ObjectArgs, ObjectHead } from '../../schema/agent/protocol.ts'

/** Other hosts that can go on with a body. */
export type Spares = { host_id: string; args: ObjectArgs }[]

const dataAt = (head: ObjectHead): string => head.data_at ?? head.timestamp

/** The rest of the body from another host, or null where none has it. `spares` gets shorter: a host that failed once is not asked again. */
export async function resume(env: Pick<Env, 'HOST'>, head: ObjectHead | null, args: ObjectArgs, spares: Spares, sent: number, doubt: (args: ObjectArgs) => Promise<unknown>): Promise<ReadableStream<Uint8Array> | null> {
  if (head === null) return null
  const [first, last] = args.range ?? [0, head.size_bytes - 1]
  if (first + sent > last) return null
  for (let spare = spares.shift(); spare !== undefined; spare = spares.shift()) {
    try {
      const found = await env.HOST.getByName(spare.host_id).objectGet({ ...spare.args, range: [first + sent, last] }, [...spares])
      if (dataAt(found.head) === dataAt(head) && found.head.etag === head.etag) {
        // The first block of it was opened before the answer came.
        if (head.sealed === true) void doubt({ ...args, timestamp: dataAt(head), range: [first + sent, first + sent] }).catch(() => {})
        return found.body
      }
      void found.body.cancel().catch(() => {})
    } catch {
      // The next one may have it.
    }
  }
  return null
}
