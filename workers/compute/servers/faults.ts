/** Faults of servers that both sides of the object boundary throw. Pure. */
import { Fault } from '../../../schema/values/fault.ts'

export const serverMissing = (id: string): Fault => new Fault('not_found', `Instance ${id} could not be found.`, { type: 'InstanceNotFound' })
