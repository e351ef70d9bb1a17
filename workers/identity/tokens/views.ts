/** Token -> JSON, as GET and POST /v3/auth/tokens answer it (keystone/common/render_token.py). */
import type { Caller } from '../../../schema/values/caller.ts'
import { isoMicros } from '../../../schema/values/time.ts'
import { catalogView } from '../catalog/views.ts'
import type { Receipt } from '../mfa/receipts.ts'
import type { Form, Issued, Rendered, TokenRecord } from './scope.ts'

/** What is said of one token and no other. */
const ownView = ({ methods, audit_ids, expires_ms, issued_ms }: Caller) => ({ methods, audit_ids, expires_at: isoMicros(expires_ms), issued_at: isoMicros(issued_ms) })

export const tokenView = (record: TokenRecord, form: Form): { token: Record<string, unknown> } => ({ token: { ...ownView(record.caller), ...sharedView(record, form) } })

/** The rest, the same for every token that a user gets for a scope while no row changes. */
function sharedView(record: TokenRecord, options: Form): Record<string, unknown> {
  const { caller, user } = record
  // Who comes by a provider has no password here that could expire.
  const vouched = record.federation === null ? { password_expires_at: user.password_expires_ms === null ? null : isoMicros(user.password_expires_ms).slice(0, -1) } : { 'OS-FEDERATION': { identity_provider: { id: record.federation.idp_id }, protocol: { id: record.federation.protocol_id }, groups: record.federation.group_ids.map((id) => ({ id })) } }
  const token: Record<string, unknown> = { user: { domain: user.domain, id: user.id, name: user.name, ...vouched } }
  if (record.project !== null) {
    const { domain, id, name, is_domain } = record.project
    token.project = { domain, id, name }
    token.is_domain = is_domain
  }
  if (record.domain !== null) token.domain = record.domain
  if (caller.system) token.system = { all: true }
  const scoped = record.project !== null || record.domain !== null || caller.system
  if (scoped) token.roles = record.roles
  if (scoped && options.catalog) token.catalog = catalogView(record.catalog, { origin: options.origin, project_id: caller.project_id, user_id: caller.user_id })
  if (record.trust !== null) {
    const { id, impersonation, trustor_user_id, trustee_user_id } = record.trust
    token['OS-TRUST:trust'] = { id, impersonation, trustor_user: { id: trustor_user_id }, trustee_user: { id: trustee_user_id } }
  }
  if (record.application_credential !== null) {
    const { id, name, restricted, access_rules } = record.application_credential
    token.application_credential = { id, name, restricted, ...(access_rules === null ? {} : { access_rules }) }
  }
  if (record.oauth !== null) token['OS-OAUTH1'] = record.oauth
  return token
}

/** The shared part as text, for `rendered` to use again. */
export const sharedText = (record: TokenRecord, form: Form): string => JSON.stringify(sharedView(record, form)).slice(1)

export function rendered({ token, record }: Issued, shared: string): Rendered {
  const { issued_ms, expires_ms } = record.caller
  return { token, text: `{"token":${JSON.stringify(ownView(record.caller)).slice(0, -1)},${shared}}`, issued_ms, expires_ms }
}

export const receiptView = ({ user, methods, issued_ms, expires_ms, required_auth_methods }: Receipt) =>
  ({ receipt: { methods, user, expires_at: isoMicros(expires_ms), issued_at: isoMicros(issued_ms) }, required_auth_methods })
