/**
 * Open vSwitch itself: which daemon serves us, bridges, ports, flows. The system's own ovs-vswitchd is used where it runs; else an
 * ovsdb-server and an ovs-vswitchd of ours are started with their state under `directory`. Those outlive the agent, and are
 * started again when found dead. Without the kernel module the datapath is the userspace one (`netdev`).
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ExecError } from '../../../host/exec.ts'
import type { Exec } from '../../../host/exec.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import { digest } from './addr.ts'
import { bundleOf, cookieOf } from './flows.ts'

export interface OvsInterface {
  name: string
  /** Null while the device is missing. */
  ofport: number | null
  external_ids: Record<string, string>
}

export interface Ovs {
  /** Starts or finds the daemons. True where something had to be started: flows are gone then. */
  up(): Promise<boolean>
  userspace(): boolean
  ensureBridge(name: string, options: { secure: boolean }): Promise<void>
  removeBridge(name: string): Promise<void>
  interfaces(): Promise<OvsInterface[]>
  /** Adds or refreshes a port; returns its OpenFlow number. */
  ensurePort(bridge: string, name: string, ids: Record<string, string>, options?: { type: 'patch'; peer: string }): Promise<number>
  removePort(bridge: string, name: string): Promise<void>
  /** Puts the owner's flows in place where they are not; true where they changed. */
  setFlows(bridge: string, owner: string, flows: string[]): Promise<boolean>
  removeFlows(bridge: string, owner: string): Promise<void>
  /** Owners (as cookie prefixes) that have a flow in the table. */
  ownersIn(bridge: string, table: number): Promise<Set<string>>
  flushZone(zone: number): Promise<void>
  /** Ends the daemons where they are ours; the system's go on. */
  stop(): Promise<void>
}

const SYSTEM_RUN = '/var/run/openvswitch'
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'

function alive(pidFile: string, program: string): boolean {
  try {
    const pid = readFileSync(pidFile, 'utf8').trim()
    // 'pid (name) state': a killed process that nobody has waited for is still listed, as Z.
    const found = /^\d+ \((.*)\) (\w)/.exec(/^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : '')
    return found?.[1] === program.slice(0, 15) && found[2] !== 'Z'
  } catch {
    return false
  }
}

const bothAlive = (directory: string): boolean => alive(join(directory, 'ovs-vswitchd.pid'), 'ovs-vswitchd') && alive(join(directory, 'ovsdb-server.pid'), 'ovsdb-server')

/** OVSDB's JSON for maps and for optional values. */
function fromOvsdb(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  if (value[0] === 'map') return Object.fromEntries(value[1] as [string, string][])
  if (value[0] === 'set') return (value[1] as unknown[])[0] ?? null
  return value
}

export function createOvs(deps: { exec: Exec; directory: string; mode: 'auto' | 'own' }): Ovs {
  const { exec, directory, mode } = deps
  let run = ''
  let userspace = true

  const environment = () => ({ OVS_RUNDIR: run, OVS_LOGDIR: run, OVS_DBDIR: run, OVS_SYSCONFDIR: run })
  const vsctl = async (...args: string[]): Promise<string> => (await exec(['ovs-vsctl', '--timeout=20', `--db=unix:${join(run, 'db.sock')}`, ...args], { env: environment() })).stdout
  const ofctl = async (command: string[], input?: string): Promise<string> => (await exec(['ovs-ofctl', '-O', 'OpenFlow14', ...command], { env: environment(), ...(input === undefined ? {} : { input }) })).stdout

  async function kernelDatapath(): Promise<boolean> {
    if (!existsSync('/sys/module/openvswitch')) await exec(['modprobe', '-q', 'openvswitch']).catch(() => {})
    return existsSync('/sys/module/openvswitch')
  }

  async function startOwn(): Promise<void> {
    // The folder above is shared with dnsmasq's files, which have to be readable; this one is ours alone.
    mkdirSync(dirname(directory), { recursive: true, mode: 0o755 })
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const env = environment()
    const database = join(directory, 'conf.db')
    if (!alive(join(directory, 'ovsdb-server.pid'), 'ovsdb-server')) {
      if (!existsSync(database)) await exec(['ovsdb-tool', 'create', database, SCHEMA], { env })
      const socket = join(directory, 'db.sock')
      await exec(['ovsdb-server', database, `--remote=punix:${socket}`, `--pidfile=${directory}/ovsdb-server.pid`, `--log-file=${directory}/ovsdb-server.log`, `--unixctl=${directory}/ovsdb.ctl`, '--detach', '--no-chdir'], { env })
      await vsctl('--no-wait', 'init')
    }
    const system = userspace ? ['--disable-system'] : []
    await exec(['ovs-vswitchd', `unix:${join(directory, 'db.sock')}`, `--pidfile=${directory}/ovs-vswitchd.pid`, `--log-file=${directory}/ovs-vswitchd.log`, `--unixctl=${directory}/vswitchd.ctl`, '--detach', '--no-chdir', ...system], { env })
  }

  async function up(): Promise<boolean> {
    if (run !== '' && bothAlive(run)) return false
    userspace = !(await kernelDatapath())
    // Ours first where it lives already: its bridges carry guests.
    if (bothAlive(directory)) run = directory
    else if (mode === 'auto' && bothAlive(SYSTEM_RUN)) run = SYSTEM_RUN
    else {
      run = directory
      await startOwn()
      return true
    }
    return false
  }

  async function ensureBridge(name: string, options: { secure: boolean }): Promise<void> {
    const mac = digest(`bridge ${name} ${directory}`, 10)
    const settings = [
      `datapath_type=${userspace ? 'netdev' : 'system'}`, `fail-mode=${options.secure ? 'secure' : 'standalone'}`,
      'protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15', 'mcast_snooping_enable=false',
      // Without it the bridge takes the lowest MAC of its ports, and changes it under its neighbours.
      `other-config:hwaddr="02:${mac.match(/../g)?.join(':')}"`,
    ]
    await vsctl('--may-exist', 'add-br', name, '--', 'set', 'bridge', name, ...settings)
  }

  async function interfaces(): Promise<OvsInterface[]> {
    const table = JSON.parse(await vsctl('--format=json', '--columns=name,ofport,external_ids', 'list', 'Interface')) as { data: unknown[][] }
    return table.data.map((row) => {
      const ofport = fromOvsdb(row[1])
      return { name: String(row[0]), ofport: typeof ofport === 'number' && ofport > 0 ? ofport : null, external_ids: fromOvsdb(row[2]) as Record<string, string> }
    })
  }

  async function ensurePort(bridge: string, name: string, ids: Record<string, string>, options?: { type: 'patch'; peer: string }): Promise<number> {
    const known = (await interfaces()).find((candidate) => candidate.name === name)
    const same = known !== undefined && JSON.stringify(Object.entries(known.external_ids).sort()) === JSON.stringify(Object.entries(ids).sort())
    if (known?.ofport && same) return known.ofport
    const settings = Object.entries(ids).map(([key, value]) => `external_ids:${key}=${JSON.stringify(value)}`)
    const kind = options ? [`type=${options.type}`, `options:peer=${options.peer}`] : []
    // A record whose device came and went keeps an invalid number: made anew.
    const reset = known && !known.ofport ? ['--if-exists', 'del-port', name, '--'] : []
    await vsctl(...reset, '--may-exist', 'add-port', bridge, name, '--', 'clear', 'Interface', name, 'external_ids', '--', 'set', 'Interface', name, ...settings, ...kind)
    const ofport = (await interfaces()).find((candidate) => candidate.name === name)?.ofport
    if (!ofport) throw new Fault('unavailable', `Open vSwitch could not take the port ${name}`)
    return ofport
  }

  async function setFlows(bridge: string, owner: string, flows: string[]): Promise<boolean> {
    const cookie = cookieOf(owner, flows)
    const counted = /flow_count=(\d+)/.exec(await ofctl(['dump-aggregate', bridge, `cookie=${cookie.exact}/-1`]))
    if (flows.length > 0 && Number(counted?.[1]) === flows.length) return false
    await ofctl(['--bundle', 'add-flows', bridge, '-'], bundleOf(owner, flows))
    return true
  }

  async function stop(): Promise<void> {
    if (run !== directory) return
    await exec(['ovs-appctl', '-t', join(directory, 'vswitchd.ctl'), 'exit', '--cleanup'], { env: environment() })
    await exec(['ovs-appctl', '-t', join(directory, 'ovsdb.ctl'), 'exit'], { env: environment() })
    run = ''
  }

  return {
    up,
    stop,
    userspace: () => userspace,
    ensureBridge,
    async removeBridge(name) {
      await vsctl('--if-exists', 'del-br', name)
    },
    interfaces,
    ensurePort,
    async removePort(bridge, name) {
      await vsctl('--if-exists', 'del-port', bridge, name)
    },
    setFlows,
    async removeFlows(bridge, owner) {
      await ofctl(['--bundle', 'add-flows', bridge, '-'], bundleOf(owner, []))
    },
    async ownersIn(bridge, table) {
      try {
        const dump = await ofctl(['dump-flows', bridge, `table=${table}`])
        return new Set([...dump.matchAll(/cookie=0x([0-9a-f]+)/g)].map((found) => `0x${(found[1] ?? '').padStart(16, '0').slice(0, 10)}000000`))
      } catch (error) {
        if (error instanceof ExecError) return new Set()
        throw error
      }
    },
    async flushZone(zone) {
      const control = run === directory ? join(directory, 'vswitchd.ctl') : 'ovs-vswitchd'
      await exec(['ovs-appctl', '-t', control, 'dpctl/flush-conntrack', `zone=${zone}`], { env: environment() }).catch(() => {})
    },
  }
}
