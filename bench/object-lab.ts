/**
 * Brings up what `bench/object.ts` compares and runs it: a shipped plane, one host as a process of its own with three XFS disks on loop devices, and its door. The consistency
 * services rest, as the peer's do: what they cost is not a request's. As root:
 * `node bench/object-lab.ts [--target PEER=URL,TOKEN,PIDS ...] [flags of object.ts]`; `--hold` waits for a key instead, with the targets printed.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentFlags } from '../bin/commands/supervise.ts'
import { bundle } from '../bin/lib/bundle.ts'
import { homeOf } from '../bin/lib/home.ts'
import { CHILD_ENV } from '../bin/lib/processes.ts'
import { type Shipped, freePort, shipped } from '../test/support/shipped.ts'

const ROOT = join(import.meta.dirname, '..')
/** Sparse, each. */
const DISK_BYTES = 8 * 1024 ** 3
const DISKS = ['d1', 'd2', 'd3']
const DAY_S = 86_400
const AT_REST = { auditor_interval_s: DAY_S, replicator_interval_s: DAY_S, reconstructor_interval_s: DAY_S, updater_interval_s: DAY_S }

const dir = mkdtempSync(join(tmpdir(), 'object-lab-'))
const args = process.argv.slice(2)
let host: ChildProcess | undefined
const cloud = await shipped('none', { SKYHOOK_OPTIONS: JSON.stringify({ swift: { object_services: AT_REST } }) })
try {
  for (const disk of DISKS) makeDisk(disk)
  const { join_token } = await cloud.api.call('POST', '/agents/v1/join-tokens', { uses: 1 })
  const port = await freePort()
  host = startHost((await bundle(homeOf(cloud.env))).agent, join_token.token, port)
  await cloud.until('three devices in the ring', async () => (await cloud.api.call('GET', '/agents/v1/rings/0')).ring.devices.filter((device: { host_up: boolean }) => device.host_up).length === DISKS.length)
  const granted = cloud.cli(['host', 'door', 'h0', `http://127.0.0.1:${port}`])
  if (granted.status !== 0) throw new Error(granted.stderr)
  const { token, project_id } = await login(cloud)
  const account = `/object-store/v1/AUTH_${project_id}`
  // Every process of the cloud counts for both: a door asks the plane, the edge path ends in the host.
  const pids = [...Object.values(cloud.state().processes), host.pid].join('+')
  const targets = [`edge=${cloud.url}${account},${token},${pids}`, `door=http://127.0.0.1:${port}${account},${token},${pids}`].flatMap((target) => ['--target', target])
  await cloud.until('the door answers', async () => (await fetch(`http://127.0.0.1:${port}${account}`, { headers: { 'x-auth-token': token } })).ok)
  if (args.includes('--hold')) {
    console.log(targets.join(' '))
    await new Promise((resolve) => process.stdin.once('data', resolve))
  } else execFileSync(process.execPath, [join(ROOT, 'bench/object.ts'), ...targets, ...args], { stdio: 'inherit' })
} catch (error) {
  console.error(error)
  console.error(readFileSync(join(dir, 'agent.log'), 'utf8').slice(-2_000))
  process.exitCode = 1
} finally {
  host?.kill('SIGKILL')
  for (const disk of DISKS) spawnSync('umount', ['-l', join(dir, 'devices', disk)], { stdio: 'ignore' })
  cloud.remove()
  rmSync(dir, { recursive: true, force: true })
}
process.exit()

function makeDisk(name: string): void {
  const image = join(dir, `${name}.img`)
  const at = join(dir, 'devices', name)
  mkdirSync(at, { recursive: true })
  writeFileSync(image, '')
  truncateSync(image, DISK_BYTES)
  execFileSync('mkfs.xfs', ['-q', image])
  execFileSync('mount', ['-o', 'loop,noatime', image, at])
}

/** As `skyhook join` starts it: what is measured is what is shipped. */
function startHost(agent: string, token: string, port: number): ChildProcess {
  const log = openSync(join(dir, 'agent.log'), 'a')
  const argv = [...agentFlags(true), agent, '--plane', cloud.url, '--state', join(dir, 'state'), '--roles', 'object', '--name', 'h0', '--objects', join(dir, 'devices'), '--door', `127.0.0.1:${port}`]
  const child = spawn(process.execPath, argv, { cwd: ROOT, stdio: ['ignore', log, log], env: { ...process.env, ...CHILD_ENV, SKYHOOK_JOIN_TOKEN: token } })
  closeSync(log)
  return child
}

async function login({ api, password, url }: Shipped): Promise<{ token: string; project_id: string }> {
  await api.login()
  const identity = { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password } } }
  const answer = await fetch(`${url}/identity/v3/auth/tokens`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ auth: { identity, scope: { project: { id: api.projectId } } } }) })
  return { token: answer.headers.get('x-subject-token') ?? '', project_id: api.projectId }
}
