/** `skyhook stop`: ends the supervisor and its processes. Guests of the real host outlive it, as they outlive the agent. */
import { parseArgs } from 'node:util'
import { homeOf, isAlive, runningSupervisor } from '../lib/home.ts'
import { stopGuests } from '../lib/guests.ts'
import { Problem } from '../lib/problem.ts'

export const STOP_TIMEOUT_MS = 15_000

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { guests: { type: 'boolean' } } })
  const home = homeOf()
  const state = runningSupervisor(home)
  if (state === null) console.log('skyhook: it is not running.')
  else {
    process.kill(state.pid, 'SIGTERM')
    const end = Date.now() + STOP_TIMEOUT_MS
    while (isAlive(state.pid)) {
      if (Date.now() > end) throw new Problem(`process ${state.pid} does not end; see ${home.logs}.`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    console.log('skyhook: stopped. Guests keep running; `npm stop -- --guests` ends them and the host services too.')
  }
  if (values.guests) await stopGuests(home)
  return 0
}
