/** Words of Neutron's bodies as schemas. Values come out normal: booleans as booleans, addresses and blocks as canonical text. */
import * as v from 'valibot'
import { formatCidr, formatIp, parseCidr, parseIp, parseMac } from '../../../schema/values/ip.ts'

export const NAME_CHARS_MAX = 255

const shown = (value: unknown) => {
  const text = typeof value === 'string' ? `'${value}'` : (JSON.stringify(value) ?? 'undefined')
  return text.length > 120 ? `${text.slice(0, 120)}...` : text
}

/** A schema from a function that gives the normal value or says (by throwing an Error) why not. */
export const made = <T>(parse: (value: unknown) => T) =>
  v.pipe(
    v.unknown(),
    v.rawTransform<unknown, T>(({ dataset, addIssue, NEVER }) => {
      try {
        return parse(dataset.value)
      } catch (error) {
        addIssue({ message: (error as Error).message })
        return NEVER
      }
    }),
  )

export const text = (max = NAME_CHARS_MAX) =>
  made((value) => {
    if (typeof value !== 'string') throw new Error(`${shown(value)} is not a valid string`)
    if (value.length > max) throw new Error(`${shown(value)} exceeds maximum length of ${max}`)
    return value
  })

export const boolean = made((value) => {
  if (typeof value === 'boolean') return value
  const word = String(value).toLowerCase()
  if (['true', '1', 'on', 'yes', 't'].includes(word)) return true
  if (['false', '0', 'off', 'no', 'f'].includes(word)) return false
  throw new Error(`'${String(value)}' cannot be converted to boolean`)
})

export const integer = (min: number, max: number) =>
  made((value) => {
    const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
    if (typeof number !== 'number' || !Number.isInteger(number)) throw new Error(`${shown(value)} is not an integer`)
    if (number < min) throw new Error(`'${number}' is too small - must be at least '${min}'`)
    if (number > max) throw new Error(`'${number}' is too large - must be no larger than '${max}'`)
    return number
  })

export const oneOf = <const T extends string>(values: readonly T[]) =>
  made((value) => {
    if (!values.includes(value as T)) throw new Error(`${shown(value)} is not in [${values.map((one) => `'${one}'`).join(', ')}]`)
    return value as T
  })

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
export const uuid = made((value) => {
  if (typeof value !== 'string' || !UUID.test(value)) throw new Error(`${shown(value)} is not a valid UUID`)
  return value
})

export const ip = made((value) => {
  const parsed = typeof value === 'string' ? parseIp(value) : null
  if (parsed === null) throw new Error(`${shown(value)} is not a valid IP address`)
  return formatIp(parsed.version, parsed.value)
})

/** The block a client means: host bits are cleared, as upstream does for a subnet's. */
export const cidr = made((value) => {
  const parsed = typeof value === 'string' ? parseCidr(value) : null
  if (parsed === null) throw new Error(`${shown(value)} is not a valid IP subnet`)
  return formatCidr(parsed)
})

export const mac = made((value) => {
  const parsed = typeof value === 'string' ? parseMac(value) : null
  if (parsed === null) throw new Error(`${shown(value)} is not a valid MAC address`)
  return parsed
})

/** null or what `inner` takes. */
export const orNull = <S extends v.GenericSchema>(inner: S) => v.nullable(inner)

export const list = <S extends v.GenericSchema>(inner: S, max = 1_000) =>
  v.pipe(v.array(inner, (issue) => `${shown(issue.input)} is not a list`), v.maxLength(max, `more than ${max} items`))

/** A list that null empties. */
export const listOrNull = <S extends v.GenericSchema>(inner: S, max = 1_000) => v.pipe(v.nullable(list(inner, max)), v.transform((value) => value ?? []))

export const record = <T extends v.ObjectEntries>(entries: T) => v.strictObject(entries, (issue) => `${shown(issue.input)} has an unknown or missing key ${issue.expected ?? ''}`)

export const route = record({ destination: cidr, nexthop: ip })
export const uuids = (max = 100) =>
  v.pipe(
    listOrNull(uuid, max),
    v.check((ids) => new Set(ids).size === ids.length, 'Duplicate items in the list'),
  )
export const hints = v.pipe(listOrNull(text()), v.maxLength(10))
