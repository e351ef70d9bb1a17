/** `--sim N`: N simulated hosts in one process, joined to a real plane over real sockets. Keys and objects are kept in the state folder; machines and volumes are only pretended. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { HostRole } from '../schema/agent/observed.ts'
import { systemClock } from '../schema/values/time.ts'
import { createLdapDirectoryDriver } from './drivers/directory/ldap/index.ts'
import { createXfsObjectDriver } from './drivers/object/xfs/index.ts'
import { joinOverHttp, loadIdentity } from './identity.ts'
import type { Log } from './log.ts'
import { openDoor } from './open-door.ts'
import { SimHost } from './sim/index.ts'

/** Hosts that join at the same time; more would only wait for each other. */
const JOINING_MAX = 16

export interface SimulatedOptions {
  plane: string
  state: string
  count: number
  token: string | null
  roles: HostRole[]
  /** ADDR:PORT of the first host's door; the others' ports follow. */
  door: string | null
  log: Log
}

export async function runSimulated(options: SimulatedOptions): Promise<{ stop(): Promise<void> }[]> {
  const hosts: { stop(): Promise<void> }[] = []
  const numbers = Array.from({ length: options.count }, (_, n) => n + 1)
  const worker = async () => {
    for (let n = numbers.shift(); n !== undefined; n = numbers.shift()) hosts.push(await startOne(options, n))
  }
  await Promise.all(Array.from({ length: Math.min(JOINING_MAX, options.count) }, worker))
  return hosts
}

async function startOne({ plane, state, token, roles, door, log }: SimulatedOptions, n: number): Promise<{ stop(): Promise<void> }> {
  const name = `sim-${n}`
  const folder = join(state, name)
  const devices = join(folder, 'objects')
  for (const device of ['d1', 'images']) mkdirSync(join(devices, device), { recursive: true, mode: 0o700 })
  const identity = await loadIdentity({ folder, plane, hostname: name, token, clock: systemClock, join: joinOverHttp(plane) })
  const object = createXfsObjectDriver({ devices_dir: devices, name: 'xfs' })
  const host = new SimHost({ name, plane, identity, roles, log, object_services: true, object, directory: createLdapDirectoryDriver() })
  await host.start()
  if (door === null) return host
  const at = door.lastIndexOf(':')
  const opened = await openDoor(`${door.slice(0, at)}:${Number(door.slice(at + 1)) + n - 1}`, { plane, identity, driver: object, folder: join(folder, 'door'), log })
  return { stop: async () => void (await Promise.all([opened.stop(), host.stop()])) }
}
