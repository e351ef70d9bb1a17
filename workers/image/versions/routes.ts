/** Version discovery: 300 at the unversioned root, as glance/api/versions.py; a minor appears where what it added is served. */
import type { Context } from '../../http/context.ts'
import { reply, route } from '../../http/route.ts'

const MINORS = ['2.13', '2.12', '2.11', '2.10', '2.9', '2.8', '2.7', '2.6', '2.5', '2.4', '2.3', '2.2', '2.1', '2.0']

const versions = (ctx: Context) => ({
  versions: MINORS.map((minor, i) => ({ id: `v${minor}`, status: i === 0 ? 'CURRENT' : 'SUPPORTED', links: [{ rel: 'self', href: `${ctx.origin}/image/v2/` }] })),
})

export const routes = [
  ...['/', '/v2', '/v2/'].map((path) => route({ method: 'GET', path, policy: 'public', handle: (ctx) => reply({ status: 300, headers: { location: `${ctx.origin}/image/` }, body: versions(ctx) }) })),
  route({ method: 'GET', path: '/versions', policy: 'public', handle: (ctx) => versions(ctx) }),
]
