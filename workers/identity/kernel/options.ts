/** Settings of Identity: the `identity` part of env.OPTIONS (JSON) over these defaults. Names follow Keystone's security_compliance options. */
import type { LimitModel } from '../limits/two-level.ts'

export interface IdentityOptions {
  token_life_ms: number
  /** Service tokens may validate a token this long after its expiry (allow_expired). */
  allow_expired_window_ms: number
  /** How long one signing key is in use. */
  key_life_ms: number
  /** scrypt: log2 of N, block size, parallelism. */
  scrypt: { ln: number; r: number; p: number }
  lockout_failure_attempts: number
  lockout_duration_ms: number
  password_expires_days: number
  minimum_password_age_days: number
  unique_last_password_count: number
  password_regex: string
  password_regex_description: string
  change_password_upon_first_use: boolean
  disable_user_account_days_inactive: number
  max_project_tree_depth: number
  /** Unified limits: whether a project's limit is held to its domain's. */
  enforcement_model: LimitModel
  max_redelegation_count: number
  user_app_cred_limit: number
  /** Rows of one list; a longer one is cut there, says `truncated` and names the next page. */
  list_limit: number
  /** Failed logins that one address has free, and how many come back a minute. 0: no limit. */
  login_failures_max: number
  login_failures_per_minute: number
  /** How long who has proved a part of its rules may take to prove the rest. */
  receipt_life_ms: number
  /** Passcodes of this many steps (30 s each) before the present one hold too. */
  totp_included_previous_windows: number
  /** Hosts, by name, that may ask directories: they see the passwords of who logs in. None named: none may. */
  directory_hosts: string[]
  federation: {
    /** Pages that may get a token by a browser login, to the letter: https://dashboard.example.org/auth/websso/ */
    trusted_dashboards: string[]
    /** Whether providers on this machine's loopback, and there plain http, are allowed. */
    loopback_issuers: boolean
    /** Minutes that memberships given by a mapping hold where the provider does not say. */
    default_authorization_ttl: number
  }
}

export const DEFAULT_OPTIONS: IdentityOptions = {
  token_life_ms: 3_600_000,
  allow_expired_window_ms: 48 * 3_600_000,
  key_life_ms: 30 * 24 * 3_600_000,
  scrypt: { ln: 14, r: 8, p: 2 },
  lockout_failure_attempts: 0,
  lockout_duration_ms: 1_800_000,
  password_expires_days: 0,
  minimum_password_age_days: 0,
  unique_last_password_count: 0,
  password_regex: '',
  password_regex_description: '',
  change_password_upon_first_use: false,
  disable_user_account_days_inactive: 0,
  max_project_tree_depth: 5,
  enforcement_model: 'flat',
  max_redelegation_count: 3,
  user_app_cred_limit: 0,
  list_limit: 10_000,
  login_failures_max: 60,
  login_failures_per_minute: 30,
  receipt_life_ms: 300_000,
  totp_included_previous_windows: 1,
  directory_hosts: [],
  federation: { trusted_dashboards: [], loopback_issuers: false, default_authorization_ttl: 0 },
}

const parsed = new Map<string, IdentityOptions>()

export function identityOptions(env: { OPTIONS?: string }): IdentityOptions {
  const text = env.OPTIONS ?? ''
  let found = parsed.get(text)
  if (found === undefined) {
    const given = text === '' ? {} : ((JSON.parse(text) as { identity?: Partial<IdentityOptions> }).identity ?? {})
    found = { ...DEFAULT_OPTIONS, ...given, federation: { ...DEFAULT_OPTIONS.federation, ...given.federation } }
    parsed.set(text, found)
  }
  return found
}
