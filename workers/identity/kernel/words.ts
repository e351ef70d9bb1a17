/** Words that identity's request schemas are written in. */
import * as v from 'valibot'

export const name64 = v.pipe(v.string('must be a string'), v.trim(), v.minLength(1, 'must not be empty'), v.maxLength(64, 'must have at most 64 characters'))
export const name255 = v.pipe(v.string('must be a string'), v.trim(), v.minLength(1, 'must not be empty'), v.maxLength(255, 'must have at most 255 characters'))
export const text = v.nullish(v.string('must be a string'))
export const id = v.pipe(v.string('must be a string'), v.minLength(1), v.maxLength(64))
export const bool = v.boolean('must be a boolean')
/** Tags: no '/' or ',', unique, at most 80 of 255 characters. */
export const tag = v.pipe(v.string('must be a string'), v.regex(/^[^,/]*$/, "must not contain ',' or '/'"), v.minLength(1), v.maxLength(255))
export const tags = v.pipe(v.array(tag), v.maxLength(80, 'must have at most 80 tags'), v.check((list) => new Set(list).size === list.length, 'must be unique'))
/** Options that every resource takes. */
export const immutable = v.optional(v.strictObject({ immutable: v.nullish(v.boolean()) }))

/** { <name>: {...} } with attributes beyond those named let through. */
export const wrapped = <const K extends string, E extends v.ObjectEntries>(key: K, entries: E) => v.object({ [key]: v.looseObject(entries) } as Record<K, v.LooseObjectSchema<E, undefined>>)
