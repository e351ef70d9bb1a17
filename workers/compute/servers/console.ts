/** Consoles: the serial log by a command to the host, and URLs with one-time tokens for the screen. */
import type { Context } from '../../http/context.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import type { Reply } from '../../http/route.ts'
import type { Project } from './access.ts'

const CONSOLE_DEADLINE_MS = 20_000
const notReady = () => new Fault('conflict', 'Instance not yet ready')

export async function consoleOutput(ctx: Context, project: Project, id: string, args: { length?: number | null }): Promise<Reply> {
  const { host_id, vm_state } = await project.compute.servers.location(id)
  if (host_id === null || vm_state === 'building') throw notReady()
  const length = args.length === undefined || args.length === null || args.length < 0 ? null : args.length
  try {
    const { output } = (await ctx.env.HOST.getByName(host_id).command('server.console_log', { server_id: id, length }, { deadline_ms: ctx.now_ms + CONSOLE_DEADLINE_MS })) as { output: string }
    return { status: 200, body: { output } }
  } catch (error) {
    if (isFault(error, 'not_found')) throw notReady()
    throw error
  }
}

/** The page that the dashboard serves, with the token in its path parameter, as noVNC takes it; for a serial line the WebSocket itself, as clients of Nova expect. */
export async function consoleUrl(ctx: Context, project: Project, id: string, type: string): Promise<string> {
  const { token } = await project.compute.consoles.grant(id, type)
  if (type === 'serial') return `${ctx.origin.replace(/^http/, 'ws')}/compute/consoles/?token=${token}`
  return `${ctx.origin}/dashboard/vnc.html?path=${encodeURIComponent(`compute/consoles/?token=${token}`)}`
}

export async function vncConsole(ctx: Context, project: Project, id: string, args: { type: string }): Promise<Reply> {
  return { status: 200, body: { console: { type: args.type, url: await consoleUrl(ctx, project, id, args.type) } } }
}
