/** The supervisor: workerd with the bundle, workerd for hashing, the agents; kept up until told to stop. What it knows is in run/state.json. */
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { Api, joinToken } from '../lib/api.ts'
import { type Bundles, bundle } from '../lib/bundle.ts'
import { cloudsYaml, openrc } from '../lib/clouds.ts'
import { hasherConfig, planeConfig } from '../lib/config.ts'
import { type Home, ROOT, type RunState, homeOf, makeHome, secretsOf, writePrivate } from '../lib/home.ts'
import { type StartOptions, parseStart } from '../lib/options.ts'
import { Problem } from '../lib/problem.ts'
import { KeptProcess } from '../lib/processes.ts'
import { printReady } from '../lib/report.ts'
import { setDoors } from '../lib/door.ts'
import { seedImage, seedNetworks } from '../lib/seed.ts'

export const ANSWER_TIMEOUT_MS = 60_000
/** A door makes much that is soon forgotten: with more room for it a request costs a seventh less. */
const DOOR_SEMI_SPACE_MIB = 16
/** And with less than this on its heap none of it is looked through for what is forgotten: bodies make V8 do that every few MiB, though their bytes are no part of the heap. */
const DOOR_HEAP_MIB = 128
/** Node's own options for an agent; agent/young.ts has use for the last. */
export const agentFlags = (hasDoor: boolean): string[] => [...(hasDoor ? [`--max-semi-space-size=${DOOR_SEMI_SPACE_MIB}`, `--initial-heap-size=${DOOR_HEAP_MIB}`] : ['--max-semi-space-size=1']), '--expose-gc']
export const REGION_NAME = 'RegionOne'

type Say = (text: string) => void

export async function run(args: string[]): Promise<number> {
  const home = homeOf()
  makeHome(home)
  return await supervise(home, parseStart(args), (text) => console.log(`${new Date().toISOString()} ${text}`))
}

export async function supervise(home: Home, options: StartOptions, say: Say): Promise<number> {
  const started = Date.now()
  const url = `http://${options.address === '0.0.0.0' ? '127.0.0.1' : options.address}:${options.port}`
  const state: RunState = { pid: process.pid, phase: 'starting', url, hosts: [], started_ms: started, image: 'none', processes: {} }
  const processes: KeptProcess[] = []
  const save = () => {
    state.processes = Object.fromEntries(processes.map((kept) => [kept.name, kept.pid]))
    writePrivate(home.state, JSON.stringify(state))
  }
  save()
  let stop: (signal: string) => void = () => {}
  const stopped = new Promise<string>((resolve) => {
    stop = resolve
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(signal))
  try {
    say('making the bundle ...')
    const bundles = await bundle(home)
    processes.push(...startPlane(home, options, bundles, say, save))
    const api = new Api(url, secretsOf(home).admin_password)
    await Promise.race([until('the API answers', async () => (await api.healthy()) !== null), stopped])
    await until('the admin to log in', async () => {
      await api.login()
      return true
    })
    writeAccess(home, url)
    const wanted = (options.hosts.local ? 1 : 0) + options.hosts.simulated
    processes.push(...startAgents(home, options, bundles, url, await joinToken(api, Math.max(1, wanted)), say, save))
    await until(`${wanted} host${wanted === 1 ? '' : 's'} up`, async () => {
      const { hosts } = (await api.call('GET', '/agents/v1/hosts')) as { hosts: { name: string; up: boolean }[] }
      state.hosts = hosts.filter((host) => host.up).map((host) => host.name)
      return state.hosts.length >= wanted
    })
    const { hosts } = (await api.call('GET', '/agents/v1/hosts')) as { hosts: { name: string; door_url: string | null; facts: { simulated: boolean; hostname: string } | null }[] }
    const known = hosts.map((host) => ({ name: host.name, door_url: host.door_url, simulated: host.facts?.simulated === true }))
    await setDoors(api, known, options.door, { local: options.hosts.local ? (hosts.find((host) => host.facts?.hostname === hostname() && !host.facts.simulated)?.name ?? null) : null, simulated: options.hosts.simulated })
    await seedNetworks(api)
    state.phase = 'up'
    state.answering_ms = Date.now() - started
    save()
    await printReady(home, state, say)
    void seedImage(api, home, options.hosts.local, (image, problem) => {
      state.image = image
      state.image_problem = problem
      save()
      if (problem !== undefined) say(`image guest: ${problem}`)
    })
    const signal = await stopped
    say(`${signal}: stopping ...`)
    return 0
  } catch (error) {
    state.phase = 'failed'
    state.problem = error instanceof Problem ? error.message : String((error as Error)?.stack ?? error)
    save()
    throw error
  } finally {
    await Promise.all(processes.reverse().map((kept) => kept.stop()))
    if (state.phase !== 'failed') rmSync(home.state, { force: true })
  }
}

/** Certificate authorities of one's own, from a PEM file. */
function authorities(): string[] {
  const file = process.env.SKYHOOK_CA_FILE
  if (!file) return []
  try {
    return readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n?/g) ?? []
  } catch (error) {
    throw new Problem(`SKYHOOK_CA_FILE: ${(error as Error).message}`)
  }
}

/** Rules of the operator's own: the JSON itself, or the file it is in (docs/policy.md). */
function policyOverrides(): string {
  const { SKYHOOK_POLICY_OVERRIDES: text, SKYHOOK_POLICY_FILE: path } = process.env
  return text ?? (path === undefined ? '' : readFileSync(path, 'utf8'))
}

/** Requests go before what takes long anyway: password hashes, and guests on the same machine. */
const PLANE_PRIORITY = -5

function startPlane(home: Home, options: StartOptions, bundles: Bundles, say: Say, save: () => void): KeptProcess[] {
  const secrets = secretsOf(home)
  const hasherSocket = join(home.run, 'hasher.sock')
  rmSync(hasherSocket, { force: true })
  // Embeds are relative to the config: the bundle is linked beside it.
  mkdirSync(home.run, { recursive: true })
  for (const [name, target] of [['worker.js', bundles.plane], ['hasher.js', bundles.hasher]] as const) {
    rmSync(join(home.run, name), { force: true })
    symlinkSync(target, join(home.run, name))
  }
  const vars: Record<string, string> = {
    REGION_NAME, NEAR: 'plane', BOOTSTRAP_ADMIN_PASSWORD: secrets.admin_password, IDENTITY_KEYS: secrets.identity_keys, OBJECT_KEYS: secrets.object_keys, SYNC_REALMS: process.env.SKYHOOK_SYNC_REALMS ?? '', BODY_BYTES_MAX: process.env.SKYHOOK_BODY_BYTES_MAX ?? '0',
    POLICY_OVERRIDES: policyOverrides(), OPTIONS: process.env.SKYHOOK_OPTIONS ?? '', PUBLIC_URL: process.env.SKYHOOK_PUBLIC_URL ?? '', CLIENT_ADDRESS_HEADER: process.env.SKYHOOK_CLIENT_ADDRESS_HEADER ?? '',
  }
  writePrivate(join(home.run, 'plane.capnp'), planeConfig({ bundle: 'worker.js', listen: `${options.address}:${options.port}`, objects_dir: home.objects, hasher_socket: hasherSocket, compatibility_date: bundles.compatibility_date, vars, authorities: authorities() }))
  writePrivate(join(home.run, 'hasher.capnp'), hasherConfig({ bundle: 'hasher.js', socket: hasherSocket, compatibility_date: bundles.compatibility_date }))
  const workerd = workerdBinary()
  const serve = (config: string) => [workerd, 'serve', '--experimental', join(home.run, config)]
  return [
    new KeptProcess({ name: 'hasher', argv: serve('hasher.capnp'), log: join(home.logs, 'hasher.log') }, say, save),
    new KeptProcess({ name: 'workerd', argv: serve('plane.capnp'), log: join(home.logs, 'workerd.log'), priority: PLANE_PRIORITY }, say, save),
  ]
}

function startAgents(home: Home, options: StartOptions, bundles: Bundles, url: string, join_token: string, say: Say, save: () => void): KeptProcess[] {
  const agent = (name: string, args: string[]) =>
    new KeptProcess({ name, argv: [process.execPath, ...agentFlags(options.door !== null), bundles.agent, '--plane', url, ...args], log: join(home.logs, `${name}.log`), cwd: ROOT, env: { SKYHOOK_JOIN_TOKEN: join_token } }, say, save)
  const agents: KeptProcess[] = []
  const door = options.door === null ? [] : ['--door', `${options.door.address}:${options.door.port}`]
  if (options.hosts.local) agents.push(agent('agent', ['--state', home.host, '--roles', 'compute,volume,gateway,object,image,directory', ...door]))
  if (options.hosts.simulated > 0) agents.push(agent('sim-agents', ['--state', join(home.dir, 'sim'), '--sim', String(options.hosts.simulated), ...door]))
  return agents
}

function writeAccess(home: Home, url: string): void {
  const access = { url, password: secretsOf(home).admin_password, region: REGION_NAME }
  writePrivate(home.clouds, cloudsYaml(access))
  writePrivate(home.openrc, openrc(access))
}

/** The workerd binary itself: the package's own launcher is a Node process that would stay in memory. */
export function workerdBinary(): string {
  const require = createRequire(join(ROOT, 'package.json'))
  const arch = process.arch === 'arm64' ? 'arm64' : '64'
  const path = join(dirname(require.resolve(`@cloudflare/workerd-linux-${arch}/package.json`)), 'bin/workerd')
  if (!existsSync(path)) throw new Problem(`workerd has no binary for ${process.arch}; run npm ci again.`)
  return path
}

async function until(what: string, ready: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + ANSWER_TIMEOUT_MS
  let last = ''
  while (Date.now() < end) {
    try {
      if (await ready()) return
    } catch (error) {
      last = `: ${(error as Error).message}`
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Problem(`waited ${ANSWER_TIMEOUT_MS / 1000} s for: ${what}${last}`)
}

