/** The host link: the upgrade of one host's outbound WebSocket, handed to its Host object once its signature holds. */
import { Fault } from '../../../schema/values/fault.ts'
import { route } from '../../http/route.ts'
import { signingHost } from '../signature.ts'

export const routes = [
  route({
    method: 'GET',
    path: '/v1/link',
    policy: 'public',
    handle: async ({ request, env, now_ms }) => {
      if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') throw new Fault('bad_request', 'This path takes WebSocket connections of joined hosts only.')
      const hostId = await signingHost(env, request, now_ms)
      return await env.HOST.getByName(hostId).fetch(request)
    },
  }),
]
