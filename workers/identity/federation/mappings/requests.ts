/** Bodies of mappings (keystone/federation/utils.py, MAPPING_SCHEMA). */
import * as v from 'valibot'
import { ruleProblem } from './rules.ts'

const TEXT_CHARS_MAX = 1_024
const LIST_MAX = 1_000
const text = v.pipe(v.string('must be a string'), v.maxLength(TEXT_CHARS_MAX))
const list = v.pipe(v.array(text), v.maxLength(LIST_MAX))
const regex = v.optional(v.boolean())
const domain = v.strictObject({ id: v.optional(text), name: v.optional(text) })
const role = v.strictObject({ name: text, domain: v.optional(domain) })

const local = v.pipe(
  v.strictObject({
    user: v.optional(v.strictObject({ id: v.optional(text), name: v.optional(text), email: v.optional(text), domain: v.optional(domain), type: v.optional(v.picklist(['ephemeral', 'local'])) })),
    group: v.optional(v.union([v.strictObject({ id: text }), v.strictObject({ name: text, domain })])),
    groups: v.optional(text), group_ids: v.optional(text), domain: v.optional(domain),
    projects: v.optional(v.array(v.strictObject({ name: text, domain: v.optional(domain), roles: v.array(role) }))),
  }),
  v.check((entry) => entry.groups === undefined || entry.domain !== undefined, "must have 'domain' beside 'groups'"),
)

const remote = v.union(
  [
    v.strictObject({ type: text }), v.strictObject({ type: text, any_one_of: list, regex }), v.strictObject({ type: text, not_any_of: list, regex }), v.strictObject({ type: text, blacklist: list, regex }),
    v.strictObject({ type: text, whitelist: list, regex }),
  ],
  'must have a type and at most one of any_one_of, not_any_of, blacklist and whitelist',
)

const rule = v.pipe(
  v.strictObject({ local: v.array(local), remote: v.pipe(v.array(remote), v.minLength(1, 'must have at least one entry')) }),
  v.rawCheck(({ dataset, addIssue }) => {
    const problem = dataset.typed ? ruleProblem(dataset.value) : null
    if (problem !== null) addIssue({ message: problem })
  }),
)

const rules = v.pipe(v.array(rule), v.minLength(1, 'is too short: there must be at least one rule'), v.maxLength(LIST_MAX))
const schema_version = v.picklist(['1.0', '2.0'], "must be '1.0' or '2.0'")

/** Rules are given whole each time; what else is in the body is not kept, as upstream has it. */
export const mappingBody = v.object({ mapping: v.object({ rules, schema_version: v.optional(schema_version) }) })
