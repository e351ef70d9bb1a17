/** A host's door, where its operator wants one (--door): loaded only then, for the handlers are a good part of the object store. */
import { Fault } from '../schema/values/fault.ts'
import { systemClock } from '../schema/values/time.ts'
import type { ObjectDriver } from './drivers/object/driver.ts'
import type { Identity } from './identity.ts'
import type { Log } from './log.ts'
import { systemTimers } from './timers.ts'

export async function openDoor(at: string, made: { plane: string; identity: Identity; driver: ObjectDriver | undefined; folder: string; log: Log }): Promise<{ stop(): Promise<void> }> {
  const { driver } = made
  if (driver === undefined) throw new Fault('bad_request', 'a door needs the role object')
  const { parseDoor, startDoor } = await import('./door/index.ts')
  return await startDoor({ ...made, driver, ...parseDoor(at), clock: systemClock, timers: systemTimers })
}
