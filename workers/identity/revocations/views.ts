/** A revocation -> JSON: what must match in a token, and before when it was issued. */
import type { Revocation } from '../../../schema/values/caller.ts'

export function revocationView({ scope, subject, before_ms }: Pick<Revocation, 'scope' | 'subject' | 'before_ms'>): Record<string, unknown> {
  // Dated to the second above: a reader that knows seconds only must not let a token of that second pass.
  const event = { issued_before: `${new Date(Math.ceil(before_ms / 1000) * 1000).toISOString().slice(0, 19)}.000000Z` }
  const [first = '', second = ''] = subject.split(':')
  switch (scope) {
    case 'audit':
      return { ...event, audit_id: subject }
    case 'audit_chain':
      return { ...event, audit_chain_id: subject }
    case 'user':
      return { ...event, user_id: subject }
    case 'project':
      return { ...event, project_id: subject }
    case 'domain':
      return { ...event, domain_id: subject }
    case 'user_project':
      return { ...event, user_id: first, project_id: second }
    case 'user_domain':
      return { ...event, user_id: first, domain_scope_id: second }
    case 'user_system':
      return { ...event, user_id: subject, system: 'all' }
    case 'app_cred':
      return { ...event, application_credential_id: subject }
    case 'trust':
      return { ...event, 'OS-TRUST:trust_id': subject }
    case 'credential':
      return { ...event, credential_id: subject }
    case 'idp':
      return { ...event, identity_provider_id: subject }
    case 'oauth_token':
      return { ...event, 'OS-OAUTH1:access_token_id': subject }
    default:
      return scope satisfies never
  }
}
