/** /v3/OS-FEDERATION/mappings. Upstream creates by PUT with the id in the path. */
import { type Route, route } from '../../../http/route.ts'
import { listView, param, realmOf, rootUrl } from '../../kernel/http.ts'
import { selfLink } from '../../kernel/links.ts'
import { everything } from '../../kernel/listing.ts'
import { newId } from '../ids.ts'
import { mappingBody } from './requests.ts'
import type { MappingRow } from './store.ts'

const BASE = '/v3/OS-FEDERATION/mappings'
const mappingView = ({ id, rules, schema_version }: MappingRow, root: string) => ({ id, rules, schema_version, links: selfLink(root, `/OS-FEDERATION/mappings/${encodeURIComponent(id)}`) })

export const mappingRoutes: Route[] = [
  route({ method: 'GET', path: BASE, policy: 'identity:list_mappings', handle: async (ctx) => listView(ctx, 'mappings', (await realmOf(ctx).mappings.list(everything)).map((row) => mappingView(row as MappingRow, rootUrl(ctx)))) }),
  route({ method: 'GET', path: `${BASE}/:mapping_id`, policy: 'identity:get_mapping', handle: async (ctx) => ({ mapping: mappingView((await realmOf(ctx).mappings.get(param(ctx, 'mapping_id'))) as MappingRow, rootUrl(ctx)) }) }),
  route({
    method: 'PUT', path: `${BASE}/:mapping_id`, policy: 'identity:create_mapping', body: mappingBody, status: 201,
    handle: async (ctx) => ({ mapping: mappingView((await realmOf(ctx).mappings.create({ ...ctx.body.mapping, id: newId(param(ctx, 'mapping_id')) })) as MappingRow, rootUrl(ctx)) }),
  }),
  route({
    method: 'PATCH', path: `${BASE}/:mapping_id`, policy: 'identity:update_mapping', body: mappingBody,
    handle: async (ctx) => ({ mapping: mappingView((await realmOf(ctx).mappings.update(param(ctx, 'mapping_id'), ctx.body.mapping)) as MappingRow, rootUrl(ctx)) }),
  }),
  route({ method: 'DELETE', path: `${BASE}/:mapping_id`, policy: 'identity:delete_mapping', handle: async (ctx) => await realmOf(ctx).mappings.delete(param(ctx, 'mapping_id')) }),
]
