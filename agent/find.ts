/**
 * One object on several devices of this host, for one question of the plane: what each has of it, and the body as the first has it, at once where it is short. A device that is
 * slow while others have answered is left out, as if it were on a host of its own.
 */
import { BODY_AT_ONCE_BYTES, type FindArgs, type FoundHere, type ObjectHead } from '../schema/agent/protocol.ts'
import { wireError } from '../schema/agent/wire.ts'
import { Fault } from '../schema/values/fault.ts'
import type { ObjectDriver } from './drivers/object/driver.ts'
import { type Timers, systemTimers } from './timers.ts'

/** How long others are waited for after most have answered. */
export const FIND_STRAGGLER_MS = 250

type Bytes = AsyncIterable<Uint8Array>

export interface Finding {
  found: FoundHere[]
  /** Of the first device, where it was asked for and is there: whole, or as it is read. */
  body: Uint8Array | Bytes | null
}

export async function findHere(driver: Pick<ObjectDriver, 'get' | 'head'>, { at, also, body: withBody }: FindArgs, timers: Timers = systemTimers): Promise<Finding> {
  const found: FoundHere[] = [at.device, ...also].map((device) => ({ error: wireError(new Fault('timeout', `device ${device} did not answer in time`)) }))
  let body: Finding['body'] = null
  let isClosed = false
  const first = async (): Promise<ObjectHead> => {
    if (!withBody) return await driver.head(at)
    const got = await driver.get(at)
    // What nobody will read must not stay open.
    if (isClosed) await endOf(got.body)
    else body = got.head.size_bytes <= BODY_AT_ONCE_BYTES ? await whole(got.body, got.head.size_bytes) : got.body
    return got.head
  }
  const works = [first(), ...also.map((device) => driver.head({ ...at, device }))]
  await new Promise<void>((resolve) => {
    let [answered, heads] = [0, 0]
    let cancel: (() => void) | null = null
    const close = () => {
      isClosed = true
      cancel?.()
      resolve()
    }
    const note = (n: number, one: FoundHere) => {
      if (isClosed) return
      found[n] = one
      answered++
      if ('head' in one) heads++
      if (answered === works.length) close()
      else if (cancel === null && heads > 0 && answered > works.length / 2) cancel = timers.after(FIND_STRAGGLER_MS, close)
    }
    works.forEach((work, n) => void work.then((head) => note(n, { head }), (error: unknown) => note(n, { error: wireError(error) })))
  })
  return { found, body }
}

const endOf = async (body: Bytes): Promise<void> => void (await body[Symbol.asyncIterator]().return?.())

async function whole(body: Bytes, size_bytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size_bytes)
  let at = 0
  for await (const chunk of body) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
