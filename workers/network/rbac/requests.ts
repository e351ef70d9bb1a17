/** Attributes of an RBAC policy (api-ref: RBAC policies). Networks are the kind of object that can be granted. */
import type { Given } from '../api/attributes.ts'
import { oneOf, text, uuid } from '../api/types.ts'

export const rbacAttributes = {
  object_type: { schema: oneOf(['network']), put: false, required: true },
  object_id: { schema: uuid, put: false, required: true },
  action: { schema: oneOf(['access_as_shared', 'access_as_external']), put: false, required: true },
  target_tenant: { schema: text() },
  target_project: { schema: text() },
  id: {},
}

export type RbacGiven = Given<typeof rbacAttributes>
