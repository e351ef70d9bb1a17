/**
 * Tokens by which somebody acts for another, or with a part of his rights: of a trust, of a signature (EC2), of OAuth1, of an application credential. None of them may make, read or
 * take away what lets one in by itself: it would outlive the delegation, and reach further (OSSA-2013-032, OSSA-2020-003 and their heirs).
 */
import type { Caller } from '../../../schema/values/caller.ts'
import { forbidden } from './realm.ts'

type Delegated = Pick<Caller, 'trust_id' | 'credential_id' | 'oauth_token_id' | 'app_cred_id'>

/** How the caller's token was delegated, in words; null: it was not. */
export function delegationOf({ trust_id, credential_id, oauth_token_id, app_cred_id }: Delegated): 'trust' | 'EC2 credential' | 'OAuth1 access token' | 'application credential' | null {
  if (trust_id) return 'trust'
  if (credential_id) return 'EC2 credential'
  if (oauth_token_id) return 'OAuth1 access token'
  return app_cred_id ? 'application credential' : null
}

/** `but`: delegations that have a rule of their own there. */
export function forbidDelegated(caller: Delegated, what: string, but: readonly string[] = []): void {
  const by = delegationOf(caller)
  if (by !== null && !but.includes(by)) throw forbidden(`A token that was delegated by ${by === 'trust' ? 'a' : 'an'} ${by} cannot be used to ${what}.`)
}
