/** Bodies of flavors. */
import * as v from 'valibot'
import { bool, integer, name, shape, text, wrap } from '../common/schemas.ts'

const flavorId = v.nullable(
  v.pipe(v.union([v.string(), v.number()]), v.transform(String), v.minLength(1), v.maxLength(255), v.regex(/^(?! )[a-zA-Z0-9. _-]+(?<! )$/, 'may have letters, digits, spaces, dots, dashes and underscores')),
)
const rxtx = v.pipe(v.union([v.number(), v.pipe(v.string(), v.regex(/^[0-9]+(\.[0-9]+)?$/))]), v.transform(Number), v.gtValue(0, 'must be more than 0'), v.maxValue(3.40282e38))
const describe = v.nullable(v.pipe(text(65535), v.regex(/^[^\p{Cc}]*$/u, 'must have printable characters only')))

const fields = {
  name, ram: integer(1), vcpus: integer(1), disk: integer(0),
  id: v.optional(flavorId), swap: v.optional(integer(0)), 'OS-FLV-EXT-DATA:ephemeral': v.optional(integer(0)), rxtx_factor: v.optional(rxtx), 'os-flavor-access:is_public': v.optional(bool),
}

type CreateFlavor = v.InferOutput<v.StrictObjectSchema<typeof fields, undefined>> & { description?: string | null }
export const createFlavor = (minor: number) => wrap('flavor', shape<CreateFlavor>(fields, minor >= 55 && { description: v.optional(describe) }))
export const updateFlavor = wrap('flavor', v.strictObject({ description: describe }))

const KEY = /^[a-zA-Z0-9-_:. ]{1,255}$/
const value = v.pipe(v.union([v.string(), v.number()], 'must be text or a number'), v.transform(String), v.maxLength(255))
const specs = v.pipe(v.record(v.pipe(v.string(), v.regex(KEY, 'has a key that is not 1 to 255 letters, digits or -_:. ')), value))
export const createSpecs = wrap('extra_specs', specs)
export const updateSpec = v.pipe(specs, v.check((given) => Object.keys(given).length === 1, 'must have exactly one key'))
export const addAccess = wrap('addTenantAccess', v.strictObject({ tenant: text(255, 1) }))
export const removeAccess = wrap('removeTenantAccess', v.strictObject({ tenant: text(255, 1) }))
export const flavorAction = v.union([addAccess, removeAccess], 'must be addTenantAccess or removeTenantAccess with a tenant')
