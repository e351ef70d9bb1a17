/** User -> JSON. */
import { isoMicros } from '../../../schema/values/time.ts'
import { selfLink } from '../kernel/links.ts'
import type { UserView } from './store.ts'

export const userView = ({ extra, password_expires_ms, default_project_id, origin: _origin, ...user }: UserView, root: string): Record<string, unknown> => ({
  ...extra, ...user, ...(default_project_id === null ? {} : { default_project_id }), password_expires_at: password_expires_ms === null ? null : isoMicros(password_expires_ms).slice(0, -1), links: selfLink(root, `/users/${user.id}`),
})
