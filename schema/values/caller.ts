/** Who is asking: the verified content of a token, carried into every object. Plain JSON, so it crosses RPC. */
export interface Caller {
  user_id: string
  user_name: string
  user_domain_id: string
  project_id: string | null
  project_name: string | null
  project_domain_id: string | null
  /** Domain-scoped tokens. */
  domain_id: string | null
  /** System-scoped tokens: 'all'. */
  system: boolean
  /** Role names, implied roles expanded. */
  roles: string[]
  /** [own, parent]: Keystone's audit chain. The first is what a revocation of this token names. */
  audit_ids: string[]
  methods: string[]
  issued_ms: number
  expires_ms: number
  request_id: string
  /** Given by the client with a POST: same key and body, same answer. */
  idempotency_key?: string
  /** Application credential or trust that the token came from. */
  app_cred_id?: string | null
  trust_id?: string | null
  /** EC2 credential that signed the request, or that the token was made by. */
  credential_id?: string | null
  /** OAuth1 access token that the token was made by. */
  oauth_token_id?: string | null
  /** The application credential has access rules: only requests that one of them names are let through. */
  ruled?: boolean
  /** The identity provider that vouched for the user, and by which protocol. */
  federation?: { idp_id: string; protocol_id: string } | null
}

export const SYSTEM_USER = 'system'

/** The plane itself: outbox steps, folding of reports. */
export const systemCaller = (requestId: string): Caller => ({
  user_id: SYSTEM_USER, user_name: 'system', user_domain_id: 'default', project_id: null, project_name: null, project_domain_id: null, domain_id: null, system: true,
  roles: ['admin', 'manager', 'member', 'reader', 'service'], audit_ids: [], methods: [], issued_ms: Number.MAX_SAFE_INTEGER, expires_ms: Number.MAX_SAFE_INTEGER, request_id: requestId,
})

/**
 * One revocation: refuses callers whose token was issued before `before_ms` and who match. Pushed by Identity into the objects concerned
 * before the revoking call is answered; kept until no matching token can still be valid.
 */
export interface Revocation {
  /** What `subject` names: an audit id, a user, a project, a domain (of users or projects), user:project, app credential, trust, EC2 credential, identity provider, OAuth1 access token. */
  scope: 'audit' | 'audit_chain' | 'user' | 'project' | 'domain' | 'user_project' | 'user_domain' | 'user_system' | 'app_cred' | 'trust' | 'credential' | 'idp' | 'oauth_token'
  subject: string
  before_ms: number
  expires_ms: number
}

export function isRevokedBy(caller: Caller, event: Revocation): boolean {
  if (caller.issued_ms > event.before_ms && event.scope !== 'audit' && event.scope !== 'audit_chain') return false
  switch (event.scope) {
    case 'audit':
      return caller.audit_ids[0] === event.subject
    case 'audit_chain':
      return caller.audit_ids.includes(event.subject)
    case 'user':
      return caller.user_id === event.subject
    case 'project':
      return caller.project_id === event.subject
    case 'domain':
      return caller.user_domain_id === event.subject || caller.project_domain_id === event.subject || caller.domain_id === event.subject
    case 'user_project':
      return `${caller.user_id}:${caller.project_id}` === event.subject
    case 'user_domain':
      return `${caller.user_id}:${caller.domain_id}` === event.subject
    case 'user_system':
      return caller.system && caller.user_id === event.subject
    case 'app_cred':
      return caller.app_cred_id === event.subject
    case 'trust':
      return caller.trust_id === event.subject
    case 'credential':
      return caller.credential_id === event.subject
    case 'idp':
      return caller.federation?.idp_id === event.subject
    case 'oauth_token':
      return caller.oauth_token_id === event.subject
    default:
      return event.scope satisfies never
  }
}
