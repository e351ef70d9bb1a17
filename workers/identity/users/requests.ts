/** Bodies of users and groups (keystone/identity/schema.py). */
import * as v from 'valibot'
import { PASSWORD_CHARS_MAX } from '../passwords/hash.ts'
import { BOOLEAN_OR_NULL, STRING, STRING_OR_NULL, bool, changed, id, name255, name64, text, wrapped } from '../kernel/words.ts'

const secret = (message: string) => v.pipe(v.string(message), v.maxLength(PASSWORD_CHARS_MAX))
const flag = v.nullish(v.boolean(BOOLEAN_OR_NULL))
const MFA_RULES_MAX = 32
const unique = (list: unknown[]) => new Set(list.map((each) => JSON.stringify(each))).size === list.length
const options = v.optional(
  v.strictObject({
    ignore_change_password_upon_first_use: flag, ignore_password_expiry: flag, ignore_lockout_failure_attempts: flag, ignore_user_inactivity: flag, lock_password: flag, multi_factor_auth_enabled: flag,
    multi_factor_auth_rules: v.nullish(v.pipe(v.array(v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.minLength(1), v.maxLength(MFA_RULES_MAX), v.check((rule: string[]) => unique(rule), 'has non-unique elements')), "is not of type 'array', 'null'"), v.maxLength(MFA_RULES_MAX), v.check((rules: string[][]) => unique(rules), 'has non-unique elements'))),
  }),
)
const shared = { domain_id: v.nullish(id), default_project_id: v.nullish(v.string(STRING_OR_NULL)), enabled: v.optional(bool), password: v.nullish(secret(STRING_OR_NULL)), options, description: text }

export const userCreate = wrapped('user', { ...shared, name: name255 })
export const userUpdate = changed('user', { ...shared, name: v.optional(name255) })
export const passwordChange = wrapped('user', { password: secret(STRING), original_password: secret(STRING) })
export const USER_COLUMNS = ['name', 'domain_id', 'enabled', 'default_project_id', 'options']

export const groupCreate = wrapped('group', { name: name64, domain_id: v.nullish(id), description: text })
export const groupUpdate = changed('group', { name: v.optional(name64), domain_id: v.nullish(id), description: text })
