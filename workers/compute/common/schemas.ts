/** Field schemas that compute's bodies share, with Nova's leniency: numbers and booleans may come as text (nova/api/validation/parameter_types.py). */
import * as v from 'valibot'

const TRUE = new Set<unknown>([true, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes'])
const FALSE = new Set<unknown>([false, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', 'No', 'no'])

export const bool = v.pipe(
  v.union([v.boolean(), v.string()], 'must be a boolean'),
  v.check((value) => TRUE.has(value) || FALSE.has(value), 'must be a boolean'),
  v.transform((value) => TRUE.has(value)),
)

export const integer = (min: number, max = 0x7fffffff) =>
  v.pipe(
    v.union([v.number(), v.pipe(v.string(), v.regex(/^-?[0-9]+$/, 'must be an integer'))], 'must be an integer'),
    v.transform(Number),
    v.integer('must be an integer'),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
  )

const PRINTABLE = /^[^\p{Cc}\p{Cs}\p{Cn}]*$/u

/** 1 to 255 printable characters without spaces at either end. */
export const name = v.pipe(
  v.string('must be text'),
  v.minLength(1, 'must not be empty'),
  v.maxLength(255, 'is too long: at most 255 characters'),
  v.regex(PRINTABLE, 'must have printable characters only'),
  v.check((text) => text.trim() === text, 'must not begin or end with a space'),
)

export const description = v.nullable(v.pipe(v.string('must be text'), v.maxLength(255, 'is too long: at most 255 characters'), v.regex(/^[^\p{Cc}]*$/u, 'must have printable characters only')))
export const text = (max = 255, min = 0) => v.pipe(v.string('must be text'), v.minLength(min, `must have at least ${min} characters`), v.maxLength(max, `is too long: at most ${max} characters`))
export const uuid = v.pipe(v.string('must be a UUID'), v.regex(/^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$/, 'must be a UUID'))

/** Keys and values of metadata: 255 characters each; nothing else is refused but an empty key. */
export const metadata = v.record(v.pipe(v.string(), v.regex(/^[a-zA-Z0-9-_:. ]{1,255}$/, 'has a key that is not 1 to 255 letters, digits or -_:. ')), text(255))
export const none = v.nullable(v.union([v.strictObject({}), v.literal('')]))
/** The whole body is one object with one key. */
export const wrap = <K extends string, S extends v.GenericSchema>(key: K, schema: S) => v.strictObject({ [key]: schema } as { [P in K]: S })
/** A schema whose fields depend on the microversion, typed by what it gives. */
export type Body<T> = v.GenericSchema<unknown, T>

type Fields = Record<string, v.GenericSchema | v.OptionalSchema<v.GenericSchema, undefined>>
/** A closed object whose fields depend on the microversion, typed by what it gives. */
export const shape = <T>(...fields: (Fields | false)[]): Body<T> => v.strictObject(Object.assign({}, ...fields.filter(Boolean)) as Fields) as unknown as Body<T>
