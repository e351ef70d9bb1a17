/** Rules about passwords (Keystone's security compliance): strength, age, history, lockout. Reads state; writes go through the stores. */
import { desc, eq, sql } from 'drizzle-orm'
import type { Db } from '../../../durable-objects/kernel/deps.ts'
import { prepared } from '../../../durable-objects/kernel/prepared.ts'
import { passwords, type users } from '../../../schema/identity/tables.ts'
import { invalid } from '../kernel/realm.ts'
import type { IdentityOptions } from '../kernel/options.ts'
import { PASSWORD_CHARS_MAX } from './hash.ts'

const DAY_MS = 86_400_000
type UserRow = typeof users.$inferSelect
type PasswordRow = typeof passwords.$inferSelect

const newest = prepared((db) => db.select().from(passwords).where(eq(passwords.user_id, sql.placeholder('user'))).orderBy(desc(passwords.seq)).limit(1).prepare())
export const currentPassword = (db: Db, userId: string): PasswordRow | undefined => newest(db).get({ user: userId })
export const passwordHistory = (db: Db, userId: string): PasswordRow[] => db.select().from(passwords).where(eq(passwords.user_id, userId)).orderBy(desc(passwords.seq)).all()

export function isLocked(user: UserRow, options: IdentityOptions, now_ms: number): boolean {
  if (options.lockout_failure_attempts <= 0 || user.options.ignore_lockout_failure_attempts === true) return false
  if (user.failed_count < options.lockout_failure_attempts) return false
  return options.lockout_duration_ms <= 0 || (user.failed_ms ?? 0) + options.lockout_duration_ms > now_ms
}

/** When the clock alone changes whether the user is locked. */
export const lockChanges = (user: UserRow, options: IdentityOptions, now_ms: number): number =>
  isLocked(user, options, now_ms) && options.lockout_duration_ms > 0 ? (user.failed_ms ?? 0) + options.lockout_duration_ms : Number.POSITIVE_INFINITY

/** When a password set now expires; null is never. */
export function expiryOf(user: Pick<UserRow, 'options'>, options: IdentityOptions, now_ms: number): number | null {
  if (options.password_expires_days <= 0 || user.options.ignore_password_expiry === true) return null
  return now_ms + options.password_expires_days * DAY_MS
}

export const isInactive = (user: UserRow, options: IdentityOptions, now_ms: number): boolean =>
  options.disable_user_account_days_inactive > 0 && user.options.ignore_user_inactivity !== true && (user.active_ms ?? user.created_ms) + options.disable_user_account_days_inactive * DAY_MS < now_ms

/** 400 for a password that may not be set at all. */
export function checkStrength(password: string, options: IdentityOptions): void {
  if (password.length > PASSWORD_CHARS_MAX) throw invalid(`Invalid password: length is greater than ${PASSWORD_CHARS_MAX} characters.`)
  if (options.password_regex !== '' && !new RegExp(options.password_regex).test(password)) throw invalid(`The password does not match the requirements: ${options.password_regex_description}.`)
}

export function checkMinimumAge(current: PasswordRow | undefined, options: IdentityOptions, now_ms: number): void {
  if (current === undefined || options.minimum_password_age_days <= 0 || !current.self_service) return
  const free_ms = current.created_ms + options.minimum_password_age_days * DAY_MS
  if (free_ms > now_ms) throw invalid(`Cannot change password before minimum age ${options.minimum_password_age_days} days is met. ${Math.ceil((free_ms - now_ms) / DAY_MS)} day(s) left.`)
}
