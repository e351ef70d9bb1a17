/** Routes of remote consoles (2.6) and of what a proxy may ask about a token. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import { route } from '../../http/route.ts'
import { wrap } from '../common/schemas.ts'
import { decoded } from '../common/texts.ts'
import { onServer } from '../servers/access.ts'
import { consoleUrl } from '../servers/console.ts'
import { proxyRoutes } from './proxy.ts'

const P = 'os_compute_api:'
const body = wrap('remote_console', v.pipe(
  v.strictObject({ protocol: v.picklist(['vnc', 'spice', 'serial', 'rdp', 'mks']), type: v.picklist(['novnc', 'xvpvnc', 'spice-html5', 'serial', 'rdp-html5', 'webmks']) }),
  v.check(({ protocol, type }) => ({ vnc: ['novnc', 'xvpvnc'], spice: ['spice-html5'], serial: ['serial'], rdp: ['rdp-html5'], mks: ['webmks'] })[protocol].includes(type), 'has a type that its protocol does not have'),
))

const unavailable = (type: string) => new Fault('bad_request', `Unavailable console type ${type}.`)

export const consoleRoutes = [
  ...proxyRoutes,
  route({
    method: 'POST', path: '/v2.1/servers/:id/remote-consoles', policy: `${P}os-remote-consoles`, versions: [6, null], body,
    handle: (ctx) => onServer(ctx, `${P}os-remote-consoles`, async (project, id) => {
      const { protocol, type } = ctx.body.remote_console
      await project.compute.servers.location(id)
      if (type !== 'novnc' && type !== 'serial') throw unavailable(type)
      return { remote_console: { protocol, type, url: await consoleUrl(ctx, project, id, type) } }
    }),
  }),
  route({
    method: 'GET', path: '/v2.1/os-console-auth-tokens/:token', policy: `${P}os-console-auth-tokens`, versions: [31, null],
    handle: async (ctx) => {
      const token = decoded(ctx.params.token)
      const [projectId] = token.split('.')
      if (projectId === undefined || projectId === token) throw new Fault('not_found', 'Token not found')
      const grant = await ctx.projectById(projectId).compute.consoles.check(token)
      return { console: { instance_uuid: grant.server_id, host: grant.host_name, port: 0, internal_access_path: null } }
    },
  }),
]
