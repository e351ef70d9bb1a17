/**
 * Asks a directory by a host on site: only the site reaches it. A host says itself that it has the role `directory`, and one that is asked sees passwords and is believed: so only those are asked
 * that the operator names (option directory_hosts). Where none of them is connected nobody gets in and nothing is shown as if it were so.
 */
import type { CommandArgs, CommandResults } from '../../../schema/agent/commands.ts'
import { onRegion } from '../../../durable-objects/kernel/sessions.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { identityOptions } from '../kernel/options.ts'

type Question = 'directory.search' | 'directory.bind'

export const QUESTION_DEADLINE_MS = 12_000

async function hostsOf(ctx: Context, allowed: readonly string[]): Promise<{ id: string; name: string }[]> {
  const found = await onRegion(ctx.env, ctx.requestId, (region) => region.hosts.available('directory'))
  return found.filter(({ name }) => allowed.includes(name))
}

export async function askDirectory<Q extends Question>(ctx: Context, question: Q, args: CommandArgs[Q]): Promise<CommandResults[Q]> {
  const allowed = identityOptions(ctx.env).directory_hosts
  let last: Fault | null = null
  for (const host of await hostsOf(ctx, allowed)) {
    try {
      return (await ctx.env.HOST.getByName(host.id).command(question, args, { deadline_ms: ctx.now_ms + QUESTION_DEADLINE_MS })) as CommandResults[Q]
    } catch (error) {
      // Another host may reach what this one does not; what a directory says itself it would say to every host.
      if (!isFault(error) || !['unavailable', 'timeout', 'not_implemented'].includes(error.kind)) throw error
      last = error
    }
  }
  const why = last !== null ? last.message : allowed.length === 0 ? 'no host may ask it; the operator names those that may in the option identity.directory_hosts' : 'no host with the role directory is connected, and only a host on site can ask it'
  throw new Fault('unavailable', `The directory of this domain cannot be asked: ${why}${why.endsWith('.') ? '' : '.'}`, { headers: { 'retry-after': '5' } })
}
