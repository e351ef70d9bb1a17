/** Flags of `skyhook start`, checked. */
import { parseArgs } from 'node:util'
import { Problem } from './problem.ts'

export interface HostsOption {
  local: boolean
  simulated: number
}

export interface StartOptions {
  detach: boolean
  address: string
  port: number
  hosts: HostsOption
  /** Where the host's door listens (docs/door.md); null: it has none. */
  door: { address: string; port: number } | null
}

export const SIM_HOSTS_MAX = 10_000

export function parseStart(args: string[]): StartOptions {
  let values: { detach?: boolean; listen?: string; hosts?: string[]; door?: string }
  try {
    values = parseArgs({ args, options: { detach: { type: 'boolean' }, listen: { type: 'string' }, hosts: { type: 'string', multiple: true }, door: { type: 'string' } } }).values
  } catch (error) {
    throw new Problem((error as Error).message)
  }
  const match = /^(\[[0-9a-f:]+\]|[^:]*):(\d{1,5})$/.exec(values.listen ?? '127.0.0.1:8787')
  const port = Number(match?.[2])
  if (match === null || port < 1 || port > 65_535) throw new Problem(`--listen takes ADDR:PORT, not '${values.listen}'.`)
  return { detach: values.detach === true, address: match[1] || '0.0.0.0', port, hosts: parseHosts(values.hosts ?? ['local']), door: parseDoor(values.door ?? process.env.SKYHOOK_DOOR) }
}

/** An address that clients on site reach; never all of them, for that would include public ones. */
function parseDoor(text: string | undefined): StartOptions['door'] {
  if (text === undefined || text === '') return null
  const match = /^(\[[0-9a-f:]+\]|[^:]+):(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port < 1 || port > 65_535 || match[1] === '0.0.0.0' || match[1] === '[::]') throw new Problem(`--door takes one address of this machine and a port (ADDR:PORT), not '${text}'.`)
  return { address: match[1] ?? '', port }
}

export function parseHosts(given: string[]): HostsOption {
  const hosts: HostsOption = { local: false, simulated: 0 }
  for (const word of given.flatMap((text) => text.split(','))) {
    const sim = /^sim:(\d+)$/.exec(word)
    if (word === 'none') continue
    if (word === 'local') hosts.local = true
    else if (sim !== null && Number(sim[1]) >= 1 && Number(sim[1]) <= SIM_HOSTS_MAX) hosts.simulated += Number(sim[1])
    else throw new Problem(`--hosts takes 'local', 'none' and 'sim:N' (N from 1 to ${SIM_HOSTS_MAX}), not '${word}'.`)
  }
  return hosts
}
