/** Container object: a shell; the logic is in workers/object/. */
import { migrations } from '../../schema/container/migrations.ts'
import type { Env } from '../kernel/env.ts'
import { SkyObject } from '../kernel/object.ts'

export class ContainerObject extends SkyObject {
  constructor(state: DurableObjectState, env: Env) {
    super(state, env, migrations, {})
  }
}
