/** Attributes of a router, and bodies of its actions (api-ref: routers). */
import * as v from 'valibot'
import type { Given } from '../api/attributes.ts'
import { standardAttributes } from '../api/standard.ts'
import { boolean, hints, listOrNull, record, route, uuid } from '../api/types.ts'
import { fixedIps } from '../ports/requests.ts'

export const ROUTES_MAX = 30

const gateway = v.pipe(
  v.nullable(record({ network_id: v.optional(v.nullable(uuid)), enable_snat: v.optional(boolean), external_fixed_ips: v.optional(fixedIps), qos_policy_id: v.optional(v.null()) })),
  v.check((value) => value === null || value.network_id != null || Object.keys(value).length === 0, 'network_id is missing'),
)

export const routerAttributes = {
  ...standardAttributes,
  admin_state_up: { schema: boolean, fallback: true },
  external_gateway_info: { schema: gateway },
  routes: { schema: listOrNull(route, 1_000), post: false },
  availability_zone_hints: { schema: hints, put: false, fallback: [] },
  id: {}, status: {}, availability_zones: {}, flavor_id: {}, tags: {}, revision_number: {}, created_at: {}, updated_at: {},
}

export type RouterGiven = Given<typeof routerAttributes>

export const interfaceBody = v.object({ subnet_id: v.optional(v.pipe(v.string(), v.minLength(1))), port_id: v.optional(v.pipe(v.string(), v.minLength(1))) })
export const extraRoutesBody = v.object({ router: v.object({ routes: listOrNull(route, 1_000) }) })

export interface InterfaceWish {
  subnet_id?: string
  port_id?: string
}
