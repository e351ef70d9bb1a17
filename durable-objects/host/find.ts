/** An object on several devices of a host whose agent takes one question at a time. */
import type { FindArgs, FoundHere, ObjectArgs, ObjectHead } from '../../schema/agent/protocol.ts'
import { wireError } from '../../schema/agent/wire.ts'
import type { Spares } from '../../workers/object/resume.ts'

type Body = ReadableStream<Uint8Array>

export interface Found {
  /** Of each device, in their order. */
  found: FoundHere[]
  /** As the first device has it, where it was asked for and is there: whole where it is short. */
  body: Uint8Array | Body | null
}

/** What such a host can be asked. */
export interface OneByOne {
  objectHead(args: ObjectArgs): ObjectHead | Promise<ObjectHead>
  objectGet(args: ObjectArgs, spares?: Spares): { head: ObjectHead; body: Body } | Promise<{ head: ObjectHead; body: Body }>
}

export async function findOneByOne(host: OneByOne, { at, also, body: withBody }: FindArgs, spares: Spares = []): Promise<Found> {
  let body: Body | null = null
  const first = async (): Promise<ObjectHead> => {
    if (!withBody) return await host.objectHead(at)
    const got = await host.objectGet(at, spares)
    body = got.body
    return got.head
  }
  const told = async (work: () => Promise<ObjectHead>): Promise<FoundHere> => {
    try {
      return { head: await work() }
    } catch (error) {
      return { error: wireError(error) }
    }
  }
  const found = await Promise.all([told(first), ...also.map((device) => told(async () => await host.objectHead({ ...at, device })))])
  return { found, body }
}
