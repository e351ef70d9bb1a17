/**
 * The agent's program: flags and wiring only. One process a host; `--sim N` runs N simulated ones. Ends on SIGTERM and leaves QEMU, switches and daemons running.
 * --objects DIR: each folder in DIR is a mounted disk for objects. The join token comes by --join or, so that it is in no process list, by SKYHOOK_JOIN_TOKEN.
 */
import { mkdirSync } from 'node:fs'
import os from 'node:os'
import { parseArgs } from 'node:util'
import type { HostRole } from '../schema/agent/observed.ts'
import { messageOf, stderrLog } from './log.ts'

const ROLES: readonly HostRole[] = ['compute', 'volume', 'gateway', 'object', 'image', 'directory']

const { values } = parseArgs({
  options: { plane: { type: 'string' }, state: { type: 'string' }, join: { type: 'string' }, roles: { type: 'string' }, name: { type: 'string' }, objects: { type: 'string' }, sim: { type: 'string' }, teardown: { type: 'boolean' }, door: { type: 'string' } },
})

function fail(text: string): never {
  console.error(`agent: ${text}`)
  process.exit(2)
}

const state = values.state ?? fail('--state DIR is missing')
const plane = values.plane ?? (values.teardown ? '' : fail('--plane URL is missing'))
const roles = (values.roles ?? ROLES.join(',')).split(',').map((role) => ROLES.find((known) => known === role) ?? fail(`unknown role '${role}'; there are ${ROLES.join(', ')}`))
const token = values.join ?? process.env.SKYHOOK_JOIN_TOKEN ?? null
delete process.env.SKYHOOK_JOIN_TOKEN
// The object store on site (docs/door.md), on this address only.
const door = values.door ?? (process.env.SKYHOOK_DOOR || null)
const log = stderrLog
mkdirSync(state, { recursive: true, mode: 0o700 })

process.on('unhandledRejection', (error) => log('unhandled_rejection', { error: messageOf(error) }))

let running: { stop(): Promise<void> }[]
try {
  if (values.sim !== undefined) {
    const { runSimulated } = await import('./simulated.ts')
    running = await runSimulated({ plane, state, count: Number(values.sim), token, roles, door, log })
  } else {
    const { runLocal, teardown } = await import('./local.ts')
    if (values.teardown) {
      await teardown({ state, log })
      process.exit(0)
    }
    running = [await runLocal({ plane, state, token, roles, name: values.name ?? os.hostname(), door, objects: values.objects ?? null, log })]
  }
} catch (error) {
  log('start_failed', { error: messageOf(error) })
  process.exit(1)
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    log('stopping', { signal })
    Promise.all(running.map((host) => host.stop())).finally(() => process.exit(0))
  })
}
