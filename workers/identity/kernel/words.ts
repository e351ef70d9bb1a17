/** Words that identity's request schemas are written in. Messages are the ends of sentences that `wording.ts` begins. */
import * as v from 'valibot'

export const STRING = "is not of type 'string'"
export const STRING_OR_NULL = "is not of type 'string', 'null'"
export const INTEGER = "is not of type 'integer'"
export const INTEGER_OR_NULL = "is not of type 'integer', 'null'"
export const BOOLEAN_OR_NULL = "is not of type 'boolean', 'null'"

const name = (max: number) => v.pipe(v.string(), v.minLength(1), v.regex(/[\S]+/, "does not match '[\\\\S]+'"), v.maxLength(max), v.trim())
export const name64 = name(64)
export const name255 = name(255)
export const text = v.nullish(v.string(STRING_OR_NULL))
export const id = v.pipe(v.string(), v.minLength(1), v.maxLength(64))
export const bool = v.boolean()
/** Tags: no '/' or ',', unique, at most 80 of 255 characters. */
export const tag = v.pipe(v.string(), v.regex(/^[^,/]*$/, "does not match '^[^,/]*$'"), v.minLength(1), v.maxLength(255))
export const tags = v.pipe(v.array(tag), v.maxLength(80), v.check((list) => new Set(list).size === list.length, 'has non-unique elements'))
/** Options that every resource takes. */
export const immutable = v.optional(v.strictObject({ immutable: v.nullish(v.boolean(BOOLEAN_OR_NULL)) }))

/** { <name>: {...} } with attributes beyond those named let through. Without it, what is missing inside is named. */
export const wrapped = <const K extends string, E extends v.ObjectEntries>(key: K, entries: E) => v.object({ [key]: v.optional(v.looseObject(entries), {} as never) } as unknown as Record<K, v.LooseObjectSchema<E, undefined>>)

const something = v.check((value: Record<string, unknown>) => Object.keys(value).length > 0, 'does not have enough properties')
/** The same where nothing inside is required: the resource itself is. */
export const demanded = <const K extends string, E extends v.ObjectEntries>(key: K, entries: E) => v.object({ [key]: v.looseObject(entries) } as Record<K, v.LooseObjectSchema<E, undefined>>)

/** The same for a change, which must be one. */
export const changed = <const K extends string, E extends v.ObjectEntries>(key: K, entries: E) => v.object({ [key]: v.optional(v.pipe(v.looseObject({}), something, v.looseObject(entries)), {} as never) } as unknown as Record<K, v.LooseObjectSchema<E, undefined>>)
