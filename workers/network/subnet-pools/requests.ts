/** Attributes of a subnet pool (api-ref: subnet pools). */
import * as v from 'valibot'
import type { Given } from '../api/attributes.ts'
import { standardAttributes } from '../api/standard.ts'
import { boolean, cidr, integer, list, orNull, uuid } from '../api/types.ts'

export const PREFIXES_MAX = 100

export const subnetPoolAttributes = {
  ...standardAttributes,
  prefixes: { schema: v.pipe(list(cidr, PREFIXES_MAX), v.minLength(1, 'at least one prefix is needed')), required: true },
  default_prefixlen: { schema: integer(0, 128) },
  min_prefixlen: { schema: integer(0, 128) },
  max_prefixlen: { schema: integer(0, 128) },
  default_quota: { schema: orNull(integer(0, Number.MAX_SAFE_INTEGER)) },
  address_scope_id: { schema: orNull(uuid) },
  shared: { schema: boolean, put: false, guarded: true },
  is_default: { schema: boolean, guarded: true },
  id: {}, ip_version: {}, tags: {}, revision_number: {}, created_at: {}, updated_at: {},
}

export type SubnetPoolGiven = Given<typeof subnetPoolAttributes>
