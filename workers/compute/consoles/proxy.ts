/**
 * The console proxy: a viewer's WebSocket, let in once by its token and carried on to the host that runs the machine. The token is spent before anything is
 * opened: whoever comes with it a second time is refused, whatever became of the first.
 */
import { CONSOLE_CALLER, CONSOLE_PATH } from '../../../durable-objects/host/consoles.ts'
import { REGION_OBJECT_NAME } from '../../../durable-objects/kernel/env.ts'
import { onProject, onRegion } from '../../../durable-objects/kernel/sessions.ts'
import { Fault, type FaultKind, isFault } from '../../../schema/values/fault.ts'
import { projectTag } from '../../../schema/values/ids.ts'
import type { Context } from '../../http/context.ts'
import { route } from '../../http/route.ts'
import { originAllowed } from './origin.ts'
import type { ConsoleGrant } from './store.ts'

const TOKEN = /^([A-Za-z0-9_-]{1,64})\.[A-Za-z0-9_-]{32}$/
const refused = () => new Fault('forbidden', 'The console token is wrong, used up or expired. Ask for a new console.')

export const proxyRoutes = [
  route({
    method: 'GET', path: '/consoles/', policy: 'public',
    handle: async (ctx) => {
      if (ctx.request.headers.get('upgrade')?.toLowerCase() !== 'websocket') throw new Fault('bad_request', 'This path takes WebSocket connections of console viewers.')
      if (!originAllowed(ctx.request.headers.get('origin'), ctx.request.url, ctx.env.PUBLIC_URL)) throw new Fault('forbidden', 'A page of another origin may not open a console.')
      const grant = await redeemed(ctx, ctx.query.get('token') ?? '')
      return await handOver(ctx, grant)
    },
  }),
]

async function redeemed(ctx: Context, token: string): Promise<ConsoleGrant> {
  const projectId = TOKEN.exec(token)?.[1]
  // A made-up project must not bring an object into being.
  if (projectId === undefined || !(await onRegion(ctx.env, ctx.requestId, (region) => region.directory.projectsByTag(projectTag(projectId)))).includes(projectId)) throw refused()
  try {
    const grant = await onProject(ctx.env, projectId, ctx.requestId, (project) => project.compute.consoles.redeem(token))
    // A token's end does not end what it opened, as upstream has it; its revocation does.
    if ((await ctx.env.REGION.getByName(REGION_OBJECT_NAME).revoked([grant.caller]))[0] !== false) throw refused()
    return grant
  } catch (error) {
    if (isFault(error, 'not_found') || isFault(error, 'unauthorized')) throw refused()
    throw error
  }
}

async function handOver(ctx: Context, { host_id, server_id, type, incarnation, caller }: ConsoleGrant): Promise<Response> {
  const query = new URLSearchParams({ server_id, kind: type === 'serial' ? 'serial' : 'vnc', incarnation: String(incarnation) })
  const headers = new Headers({ upgrade: 'websocket', connection: 'upgrade' })
  // Nothing else of the viewer's request goes further: neither its token nor its cookies.
  for (const name of ['sec-websocket-key', 'sec-websocket-version', 'sec-websocket-protocol']) {
    const value = ctx.request.headers.get(name)
    if (value !== null) headers.set(name, value)
  }
  headers.set(CONSOLE_CALLER, encodeURIComponent(JSON.stringify(caller)))
  const answer = await ctx.env.HOST.getByName(host_id).fetch(new Request(`http://host${CONSOLE_PATH}?${query}`, { headers }))
  if (answer.status === 101) return answer
  const { kind, message } = (await answer.json()) as { kind: FaultKind; message: string }
  throw new Fault(kind, message)
}
