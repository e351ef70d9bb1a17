/**
 * What did not open though its check sums held, on one device, and was read right from others: the device is asked to look again, and to put it aside (agent/drivers/object/xfs/doubt.ts);
 * the others bring it anew. Asked only once another replica was read right, so that doubt never takes the last one.
 */
import { type Env, systemTimers } from '../../durable-objects/kernel/env.ts'
import type { ObjectArgs } from '../../schema/agent/protocol.ts'
import { hostOf } from './replica-calls.ts'
import type { RingDevice } from './ring.ts'

/** A reader waits for it so long: a request that is over may take its calls with it. */
export const DOUBT_WAIT_MS = 1_000

export async function tellDoubts(env: Env, doubts: readonly { device: RingDevice; args: ObjectArgs }[]): Promise<void> {
  if (doubts.length === 0) return
  const timers = env.SIM?.timers ?? systemTimers
  let cancel = (): void => {}
  const late = new Promise<void>((resolve) => (cancel = timers.after(DOUBT_WAIT_MS, resolve)))
  // A device that can't be told now shows it to the next reader.
  const told = Promise.all(doubts.map(({ device, args }) => Promise.resolve(hostOf(env, device).objectDoubt(args)).catch(() => null)))
  await Promise.race([told, late])
  cancel()
}
