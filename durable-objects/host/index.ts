/** placeholder */
import { SkyObject } from '../kernel/object.ts'
import type { Env } from '../kernel/env.ts'
export class HostObject extends SkyObject {
  constructor(state: DurableObjectState, env: Env) { super(state, env, [], {}) }
}
