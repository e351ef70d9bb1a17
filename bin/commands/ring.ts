/** `skyhook ring ...`: the object store's rings: how well they are, and what an operator changes. Devices are named HOST/DEVICE or by their number. */
import { parseArgs } from 'node:util'
import { Api } from '../lib/api.ts'
import { homeOf, runningSupervisor, secretsOf } from '../lib/home.ts'
import { Problem } from '../lib/problem.ts'
import { type RingBody, type RingDeviceBody, ringLines } from '../lib/ring-text.ts'

export const RING_USAGE = `ring takes:
  status                                    devices, weights, balance, dispersion, moves, figures of the services
  weight DEVICE WEIGHT|auto                 how much a device takes (auto follows the size of its disk)
  drain DEVICE | undrain DEVICE             no partitions any more, or again
  remove DEVICE [--force]                   out of the ring once it is empty (--force: the disk is lost)
  add DEVICE [WEIGHT]                       a removed device again
  region DEVICE REGION                      which region (a number) it is in
  compose NAME=REGION[+REGION...]:REPLICAS ... | compose none   several rings as one, each with its own regions
  set [--replicas N] [--min-part-hours H] [--overload F]
  rebalance                                 what min_part_hours held back, as far as it allows now
  run [--host NAME] [--device NAME] [SERVICE ...]   auditor, replicator, reconstructor, updater once, now, at full speed
Each takes --policy INDEX (0).`

function deviceOf(ring: RingBody, text: string | undefined): RingDeviceBody {
  if (text === undefined) throw new Problem(`which device? ${ring.devices.map((device) => `${device.host_name}/${device.device}`).join(', ')}`)
  const found = ring.devices.find((device) => String(device.id) === text || `${device.host_name}/${device.device}` === text)
  if (found === undefined) throw new Problem(`the ring has no device ${text}; there are ${ring.devices.map((device) => `${device.host_name}/${device.device}`).join(', ')}.`)
  return found
}

const numberOf = (text: string | undefined, what: string): number => {
  const value = Number(text)
  if (text === undefined || text === '' || !Number.isFinite(value) || value < 0) throw new Problem(`${what} must be a number that is not negative.`)
  return value
}

interface Asked {
  api: Api
  path: string
  words: string[]
  values: { force?: boolean; host?: string; device?: string; replicas?: string; 'min-part-hours'?: string; overload?: string }
}

async function runServices({ api, words, values }: Asked): Promise<number> {
  const body = { ...(words.length === 0 ? {} : { services: words }), ...(values.host === undefined ? {} : { host: values.host }), ...(values.device === undefined ? {} : { device: values.device }) }
  const { hosts } = (await api.call('POST', '/agents/v1/object-services/run', body)) as { hosts: { host: string; error: string | null; recon: { devices: RingDeviceBody['recon'][] } | null }[] }
  for (const { host, error, recon } of hosts) {
    if (error !== null) console.log(`${host}: ${error}`)
    for (const device of recon?.devices ?? []) {
      if (device === null) continue
      console.log(`${host}/${device.device}: pushed ${device.replicator.pushed}, ${device.replicator.filled ?? 0} of them in place of lost devices, drained ${device.replicator.drained}, ${device.reconstructor === undefined ? '' : `rebuilt ${device.reconstructor.rebuilt}, `}${device.resealer === undefined || device.resealer.files === 0 ? '' : `sealed anew ${device.resealer.sealed} (${device.resealer.left} left under older root secrets), `}audited ${device.auditor.files} (${device.quarantined} quarantined), ${device.async_pending} updates pending${device.error === null ? '' : `; ${device.error}`}`)
    }
  }
  return hosts.some(({ error }) => error !== null) ? 1 : 0
}

/** 'east=1+3:2' is two replicas in the regions 1 and 3. */
export function componentsOf(words: readonly string[]): { name: string; regions: number[]; replicas: number }[] | null {
  if (words.length === 1 && words[0] === 'none') return null
  if (words.length === 0) throw new Problem(RING_USAGE)
  return words.map((word) => {
    const match = /^([A-Za-z0-9][A-Za-z0-9_.-]*)=(\d+(?:\+\d+)*):(\d+)$/.exec(word)
    if (match === null) throw new Problem(`${word} is no component: NAME=REGION[+REGION...]:REPLICAS, as in east=1+3:2.`)
    return { name: match[1] ?? '', regions: (match[2] ?? '').split('+').map(Number), replicas: Number(match[3]) }
  })
}

async function change({ api, path, words, values }: Asked, command: string): Promise<unknown> {
  const { ring } = (await api.call('GET', path)) as { ring: RingBody }
  const [name, value] = words
  const patch = async (body: unknown): Promise<unknown> => await api.call('PATCH', `${path}/devices/${deviceOf(ring, name).id}`, body)
  switch (command) {
    case 'weight': return await patch({ weight: value === 'auto' ? null : numberOf(value, 'a weight') })
    case 'region': return await patch({ region: numberOf(value, 'a region') })
    case 'drain': return await patch({ drained: true })
    case 'undrain': return await patch({ drained: false })
    case 'remove': return await patch({ removed: true, force: values.force === true })
    case 'add': return await patch({ removed: false, ...(value === undefined ? {} : { weight: numberOf(value, 'a weight') }) })
    default: throw new Problem(RING_USAGE)
  }
}

export async function run(args: string[]): Promise<number> {
  const options = { policy: { type: 'string' }, force: { type: 'boolean' }, host: { type: 'string' }, device: { type: 'string' }, replicas: { type: 'string' }, 'min-part-hours': { type: 'string' }, overload: { type: 'string' } } as const
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options })
  const [command = 'status', ...words] = positionals
  const home = homeOf()
  const state = runningSupervisor(home)
  if (state === null) throw new Problem('it is not running (npm start).')
  const asked: Asked = { api: new Api(state.url, secretsOf(home).admin_password), path: `/agents/v1/rings/${Number(values.policy ?? 0)}`, words, values }
  if (command === 'run') return await runServices(asked)
  if (command === 'rebalance') await asked.api.call('POST', `${asked.path}/rebalance`, {})
  else if (command === 'compose') await asked.api.call('PATCH', asked.path, { components: componentsOf(words) })
  else if (command === 'set') {
    const body = Object.fromEntries(([['replicas', values.replicas], ['min_part_hours', values['min-part-hours']], ['overload', values.overload]] as const).filter(([, text]) => text !== undefined).map(([name, text]) => [name, numberOf(text, name)]))
    if (Object.keys(body).length === 0) throw new Problem(RING_USAGE)
    await asked.api.call('PATCH', asked.path, body)
  } else if (command !== 'status') await change(asked, command)
  const { ring } = (await asked.api.call('GET', asked.path)) as { ring: RingBody }
  for (const line of ringLines(ring, Date.now())) console.log(line)
  return 0
}
