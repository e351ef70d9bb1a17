/** Identity: Keystone's state, one object per deployment. A shell; the logic is in workers/identity/. */
import { migrations } from '../../schema/identity/migrations.ts'
import type { PublicKey } from '../../schema/values/token.ts'
import type { Env } from '../kernel/env.ts'
import { SkyObject } from '../kernel/object.ts'

export class IdentityObject extends SkyObject {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations, {})
  }

  publicKeys(): PublicKey[] {
    return []
  }
}
