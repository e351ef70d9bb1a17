/** Rows brought over from another Keystone, in batches of one kind. Ids are kept: what a client has stored goes on meaning the same. */
import * as v from 'valibot'

export const IMPORT_ROWS_MAX = 500
const PASSWORDS_MAX = 24

const id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be an id'))
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(255))
const text = v.pipe(v.string(), v.maxLength(65_536))
const record = v.record(v.string(), v.unknown())
const shared = { id, name, options: record, extra: record }

const password = v.strictObject({ hash: v.pipe(v.string(), v.maxLength(512)), created_ms: v.pipe(v.number(), v.integer()), expires_ms: v.nullable(v.pipe(v.number(), v.integer())), self_service: v.boolean() })
const rows = <S extends v.GenericSchema>(row: S) => v.pipe(v.array(row), v.maxLength(IMPORT_ROWS_MAX))

export const importRequest = v.variant('kind', [
  v.strictObject({ kind: v.literal('domain'), rows: rows(v.strictObject({ ...shared, enabled: v.boolean(), description: text, tags: v.array(name) })) }),
  v.strictObject({ kind: v.literal('project'), rows: rows(v.strictObject({ ...shared, domain_id: id, parent_id: v.nullable(id), enabled: v.boolean(), description: text, tags: v.array(name) })) }),
  v.strictObject({ kind: v.literal('role'), rows: rows(v.strictObject({ ...shared, domain_id: v.nullable(id), description: v.nullable(text) })) }),
  v.strictObject({ kind: v.literal('implied_role'), rows: rows(v.strictObject({ prior_id: id, implied_id: id })) }),
  v.strictObject({ kind: v.literal('user'), rows: rows(v.strictObject({ ...shared, domain_id: id, enabled: v.boolean(), default_project_id: v.nullable(id), created_ms: v.pipe(v.number(), v.integer()), passwords: v.pipe(v.array(password), v.maxLength(PASSWORDS_MAX)) })) }),
  v.strictObject({ kind: v.literal('group'), rows: rows(v.strictObject({ id, name, domain_id: id, description: text, extra: record })) }),
  v.strictObject({ kind: v.literal('member'), rows: rows(v.strictObject({ group_id: id, user_id: id })) }),
  v.strictObject({
    kind: v.literal('assignment'),
    rows: rows(v.strictObject({ actor_type: v.picklist(['user', 'group']), actor_id: id, target_type: v.picklist(['project', 'domain', 'system']), target_id: id, role_id: id, inherited: v.boolean() })),
  }),
])

export type ImportRequest = v.InferOutput<typeof importRequest>
export type RowsOf<K extends ImportRequest['kind']> = Extract<ImportRequest, { kind: K }>['rows']

/** 'kept': it was there by this id. 'mapped': one of that name was there; `as` is its id, and rows that refer to it mean that one. */
export interface ImportResult {
  outcome: 'made' | 'kept' | 'mapped' | 'refused'
  as?: string
  /** Why it was refused, or what of it was left out. */
  note?: string
}
