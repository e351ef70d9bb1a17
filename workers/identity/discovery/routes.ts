/** Version discovery: clients start here. The unversioned root answers 300, as Keystone's does. */
import { type Route, reply, route } from '../../http/route.ts'

export const KEYSTONE_VERSION = 'v3.14'
const UPDATED = '2020-04-07T00:00:00Z'

const versionView = (origin: string) => ({
  id: KEYSTONE_VERSION, status: 'stable', updated: UPDATED, links: [{ rel: 'self', href: `${origin}/identity/v3/` }],
  'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
})

export const discoveryRoutes: Route[] = [
  route({ method: 'GET', path: '/', policy: 'public', handle: (ctx) => reply({ status: 300, headers: { vary: 'X-Auth-Token', location: `${ctx.origin}/identity/v3/` }, body: { versions: { values: [versionView(ctx.origin)] } } }) }),
  route({ method: 'GET', path: '/v3', policy: 'public', handle: (ctx) => ({ version: versionView(ctx.origin) }) }),
]
