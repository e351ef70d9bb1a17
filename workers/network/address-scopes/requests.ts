/** Attributes of an address scope (api-ref: address scopes). */
import * as v from 'valibot'
import type { Given } from '../api/attributes.ts'
import { standardAttributes } from '../api/standard.ts'
import { boolean, integer } from '../api/types.ts'

export const addressScopeAttributes = {
  ...standardAttributes,
  ip_version: { schema: v.pipe(integer(4, 6), v.transform((value) => (value === 6 ? 6 : 4) as 4 | 6)), put: false, required: true },
  shared: { schema: boolean, guarded: true },
  id: {}, tags: {}, revision_number: {}, created_at: {}, updated_at: {},
}

export type AddressScopeGiven = Given<typeof addressScopeAttributes>
