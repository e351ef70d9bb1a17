/** What a token is asked for and what it got. Shapes only: they cross RPC. */
import type { Caller } from '../../../schema/values/caller.ts'
import type { CatalogService } from '../catalog/catalog.ts'

export interface NameRef {
  id?: string
  name?: string
  domain?: { id?: string; name?: string }
}

export type ScopeRequest =
  | { kind: 'default' }
  | { kind: 'unscoped' }
  | { kind: 'system' }
  | { kind: 'project'; project: NameRef }
  | { kind: 'domain'; domain: { id?: string; name?: string } }
  | { kind: 'trust'; trust_id: string }

export interface Named {
  id: string
  name: string
}

/** All that a token's body is rendered from. */
export interface TokenRecord {
  caller: Caller
  user: Named & { domain: Named; password_expires_ms: number | null }
  /** Who vouched for the user, and for which groups. */
  federation: { idp_id: string; protocol_id: string; group_ids: string[] } | null
  project: (Named & { domain: Named; is_domain: boolean }) | null
  domain: Named | null
  roles: Named[]
  catalog: CatalogService[]
  trust: { id: string; impersonation: boolean; trustor_user_id: string; trustee_user_id: string } | null
  application_credential: (Named & { restricted: boolean; access_rules: { id: string; service: string; method: string; path: string }[] | null }) | null
  oauth: { access_token_id: string; consumer_id: string } | null
}

export interface IssueRequest {
  user_id: string
  methods: string[]
  scope: ScopeRequest
  /** The token that this one is made from: its expiry and audit chain go on. */
  parent: Caller | null
  app_cred_id: string | null
  /** The EC2 credential that signed: it says the scope. */
  credential_id?: string
  /** The OAuth1 access token that signed: it says the scope. */
  oauth_token_id?: string
  /** The hash that the password was checked against (it must still be the user's), and one under today's parameters where it was older. */
  password: { hash: string; upgraded: string | null } | null
  /** Openstack-Auth-Receipt: what an earlier request has proved. */
  receipt?: string
  /** Where the request came from: what its attempts took is given back. */
  address?: string | null
  request_id: string
  /** The identity provider that just vouched for the user. */
  federation?: Caller['federation']
}

export interface Issued {
  token: string
  record: TokenRecord
}

/** How a token's JSON is wanted. */
export interface Form {
  origin: string
  catalog: boolean
}

/** A token with its JSON, rendered where the rows are. */
export interface Rendered {
  token: string
  text: string
  issued_ms: number
  expires_ms: number
}
