/**
 * Commands: each id is done once and its outcome told as often as it is asked; one that failed may be asked for again. Past its deadline it is refused. What must not happen twice is noted on disk
 * before it begins, so that not even a restart of the agent repeats it.
 */
import type { Command, CommandArgs, CommandName, CommandResults } from '../schema/agent/commands.ts'
import type { AgentMessage } from '../schema/agent/protocol.ts'
import { wireError } from '../schema/agent/wire.ts'
import { Fault } from '../schema/values/fault.ts'
import type { Log } from './log.ts'
import type { StateStore } from './state.ts'

export const REMEMBERED_MS = 3_600_000
/** Not harmless to run again; all others give the same outcome. */
const ONCE: ReadonlySet<CommandName> = new Set(['server.reboot'])
/** Questions: asked again they are answered again, and what was answered is kept nowhere. */
const QUESTIONS: ReadonlySet<CommandName> = new Set(['directory.search', 'directory.bind'])

export type Handlers = { [C in CommandName]: (args: CommandArgs[C]) => Promise<CommandResults[C]> }
type Result = Extract<AgentMessage, { type: 'result' }>

export class Commands {
  private known = new Map<string, { at_ms: number; result: Promise<Result> }>()
  private begun: Record<string, number> = {}
  private deps: { handlers: Handlers; store: StateStore; now_ms: () => number; log: Log }

  constructor(deps: Commands['deps']) {
    this.deps = deps
  }

  async load(): Promise<void> {
    this.begun = ((await this.deps.store.load('commands')) ?? {}) as Record<string, number>
  }

  /** `now_ms` is the plane's clock as the agent knows it. */
  run(command: Command): Promise<Result> {
    const now_ms = this.deps.now_ms()
    for (const [id, entry] of this.known) {
      if (now_ms - entry.at_ms > REMEMBERED_MS) this.known.delete(id)
      else break
    }
    const known = this.known.get(command.id)
    if (known) return known.result
    const result = this.execute(command, now_ms).then(
      (value): Result => ({ type: 'result', id: command.id, ok: true, value }),
      (error): Result => {
        this.deps.log('command_failed', { id: command.id, name: command.name, error: wireError(error).message })
        this.known.delete(command.id)
        return { type: 'result', id: command.id, ok: false, error: wireError(error) }
      },
    )
    if (!QUESTIONS.has(command.name)) this.known.set(command.id, { at_ms: now_ms, result })
    return result
  }

  private async execute(command: Command, now_ms: number): Promise<unknown> {
    if (now_ms > command.deadline_ms) throw new Fault('timeout', `${command.name} came ${now_ms - command.deadline_ms} ms after its deadline`)
    const handler = Object.hasOwn(this.deps.handlers, command.name) ? this.deps.handlers[command.name] : undefined
    if (!handler) throw new Fault('not_implemented', `this host does not know ${command.name}`)
    if (ONCE.has(command.name)) {
      if (this.begun[command.id] !== undefined) throw new Fault('conflict', `${command.name} was begun before the agent was restarted`)
      for (const [id, at_ms] of Object.entries(this.begun)) if (now_ms - at_ms > REMEMBERED_MS) delete this.begun[id]
      this.begun[command.id] = now_ms
      await this.deps.store.save('commands', this.begun)
    }
    return await (handler as (args: unknown) => Promise<unknown>)(command.args)
  }
}
