/** /v3/OS-OAUTH1/consumers. The secret is shown once, to who creates it. */
import * as v from 'valibot'
import { type Route, route } from '../../http/route.ts'
import { type CrudSpec, crudPolicies, crudRoutes, split } from '../kernel/crud.ts'
import { realmOf, rootUrl } from '../kernel/http.ts'
import { selfLink } from '../kernel/links.ts'
import { changed, text, wrapped } from '../kernel/words.ts'
import type { ConsumerRow } from './store.ts'

const body = wrapped('consumer', { description: text })
const consumerView = ({ extra, id, description }: ConsumerRow, root: string) => ({ ...extra, id, description, links: selfLink(root, `/OS-OAUTH1/consumers/${id}`) })

const spec: CrudSpec<ConsumerRow> = {
  one: 'consumer', many: 'consumers', path: '/v3/OS-OAUTH1/consumers', store: (session) => session.consumers, create: body, update: changed('consumer', { description: text, secret: v.optional(v.never("should not be valid under {'required': ['secret']}")) }), filters: {}, columns: ['description'], view: consumerView,
  read: 'role:admin or (role:reader and system_scope:all)',
}

export const consumerRoutes: Route[] = [
  route({
    method: 'POST', path: '/v3/OS-OAUTH1/consumers', policy: 'identity:create_consumer', body, status: 201,
    handle: async (ctx) => {
      const row = await realmOf(ctx).consumers.create(split(ctx.body.consumer, ['description']) as Partial<ConsumerRow>)
      return { consumer: { ...consumerView(row, rootUrl(ctx)), secret: row.secret } }
    },
  }),
  ...crudRoutes(spec).filter(({ method }) => method !== 'POST'),
]
export const consumerPolicies = crudPolicies(spec)
