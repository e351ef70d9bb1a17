/** Version discovery: clients start here. The unversioned root answers 300, as Keystone's does. */
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { jsonHome, prefersHome } from './json-home.ts'

export const KEYSTONE_VERSION = 'v3.14'
const UPDATED = '2020-04-07T00:00:00Z'

const versionView = (origin: string) => ({
  id: KEYSTONE_VERSION, status: 'stable', updated: UPDATED, links: [{ rel: 'self', href: `${origin}/identity/v3/` }],
  'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
})

const home = (prefix: string) => reply({ status: 200, headers: { 'content-type': 'application/json-home' }, body: JSON.stringify(jsonHome(prefix)) })
const wantsHome = (ctx: Context) => prefersHome(ctx.request.headers.get('accept'))
const gone = () => {
  throw new Fault('gone', 'This API is no longer available due to the removal of support for PKI tokens.')
}

export const discoveryRoutes: Route[] = [
  route({
    method: 'GET', path: '/', policy: 'public',
    handle: (ctx) => (wantsHome(ctx) ? home('/v3') : reply({ status: 300, headers: { location: `${ctx.origin}/identity/v3/` }, body: { versions: { values: [versionView(ctx.origin)] } } })),
  }),
  route({ method: 'GET', path: '/v3', policy: 'public', handle: (ctx) => (wantsHome(ctx) ? home('') : { version: versionView(ctx.origin) }) }),
  ...['ca', 'certificates'].map((name) => route({ method: 'GET', path: `/v3/OS-SIMPLE-CERT/${name}`, policy: 'public', handle: gone })),
]
