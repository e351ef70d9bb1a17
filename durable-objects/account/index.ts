/** Account object: a shell; the logic is in workers/object/. */
import { migrations } from '../../schema/account/migrations.ts'
import type { Env } from '../kernel/env.ts'
import { SkyObject } from '../kernel/object.ts'

export class AccountObject extends SkyObject {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations, {})
  }
}
