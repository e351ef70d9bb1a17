/** Version documents and the list of extensions, which is history: everything is in the API itself. */
import { Fault } from '../../../schema/values/fault.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { reply, route } from '../../http/route.ts'

export const VERSION_MIN = [2, 1] as const
export const VERSION_MAX = [2, 96] as const
const text = (version: readonly [number, number]) => `${version[0]}.${version[1]}`
const MEDIA = [{ base: 'application/json', type: 'application/vnd.openstack.compute+json;version=2.1' }]

const entry = (origin: string) => ({ id: 'v2.1', status: 'CURRENT', version: text(VERSION_MAX), min_version: text(VERSION_MIN), updated: '2013-07-23T11:33:21Z', links: [{ rel: 'self', href: `${origin}/compute/v2.1/` }] })
/** The API before microversions: the same resources at their first form, under /v2. */
const legacy = (origin: string) => ({ id: 'v2.0', status: 'SUPPORTED', version: '', min_version: '', updated: '2011-01-21T11:33:21Z', links: [{ rel: 'self', href: `${origin}/compute/v2/` }] })
const legacyDetail = (origin: string) => ({ version: { ...legacy(origin), links: [...legacy(origin).links, { rel: 'describedby', href: 'http://docs.openstack.org/', type: 'text/html' }], 'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.compute+json;version=2' }] } })
const detail = (origin: string) => ({ version: { ...entry(origin), links: [...entry(origin).links, { rel: 'describedby', href: 'http://docs.openstack.org/', type: 'text/html' }], 'media-types': MEDIA } })
const choices = (origin: string) => ({ choices: [{ id: 'v2.1', status: 'CURRENT', links: [{ rel: 'self', href: `${origin}/compute/v2.1/` }], 'media-types': MEDIA }] })

const ALIASES = [
  'os-admin-actions', 'os-admin-password', 'os-aggregates', 'os-attach-interfaces', 'os-availability-zone', 'os-console-output', 'os-consoles', 'os-create-backup', 'os-extended-server-attributes', 'os-flavor-access', 'os-flavor-extra-specs', 'os-flavor-manage',
  'os-hosts', 'os-hypervisors', 'os-instance-actions', 'os-keypairs', 'os-lock-server', 'os-migrations', 'os-pause-server', 'os-quota-class-sets', 'os-quota-sets', 'os-remote-consoles', 'os-rescue', 'os-security-groups', 'os-server-diagnostics',
  'os-server-groups', 'os-server-password', 'os-services', 'os-shelve', 'os-simple-tenant-usage', 'os-suspend-server', 'os-volumes', 'servers',
]
const extension = (alias: string) => ({ alias, name: alias.replace(/^os-/, '').split('-').map((word) => word[0]?.toUpperCase() + word.slice(1)).join(''), description: '', links: [], namespace: 'http://docs.openstack.org/compute/ext/fake_xml', updated: '2014-12-03T00:00:00Z' })

export const versionPolicies: PolicyRule[] = [{ name: 'os_compute_api:extensions', check: '@', operations: ['GET /extensions'] }]

export const versionRoutes = [
  route({ method: 'GET', path: '/', policy: 'public', handle: (ctx) => ({ versions: [legacy(ctx.origin), entry(ctx.origin)] }) }),
  route({ method: 'GET', path: '/v2', policy: 'public', handle: (ctx) => legacyDetail(ctx.origin) }),
  route({ method: 'GET', path: '/v2/', policy: 'public', handle: (ctx) => legacyDetail(ctx.origin) }),
  route({ method: 'GET', path: '/v2.1', policy: 'public', handle: (ctx) => detail(ctx.origin) }),
  route({ method: 'GET', path: '/v2.1/', policy: 'public', handle: (ctx) => detail(ctx.origin) }),
  route({ method: 'GET', path: '/v1', policy: 'public', handle: (ctx) => reply({ status: 300, body: choices(ctx.origin) }) }),
  route({ method: 'GET', path: '/v2.1/extensions', policy: 'os_compute_api:extensions', handle: () => ({ extensions: ALIASES.map(extension) }) }),
  route({
    method: 'GET', path: '/v2.1/extensions/:alias', policy: 'os_compute_api:extensions',
    handle: (ctx) => {
      if (!ALIASES.includes(ctx.params.alias ?? '')) throw new Fault('not_found', 'The resource could not be found.')
      return { extension: extension(ctx.params.alias ?? '') }
    },
  }),
]
