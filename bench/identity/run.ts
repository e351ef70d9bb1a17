/**
 * Keystone and Skyhook under the same load, alternately: CPU and latency per request. See README.md.
 *
 *   node bench/identity/run.ts --ours URL/identity --ours-password PW --ours-pids 1,2 [--peer URL --peer-password PW --peer-pids 3,4] [--seconds 5] [--seeded] [--awake]
 */
import { spawn } from 'node:child_process'
import { availableParallelism, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { type Measure, type Slice, measure, send, slice, summed } from './load.ts'

const text = { type: 'string' } as const
const { values } = parseArgs({
  options: { ours: text, 'ours-password': text, 'ours-pids': text, peer: text, 'peer-password': text, 'peer-pids': text, seconds: { ...text, default: '5' }, seeded: { type: 'boolean' }, awake: { type: 'boolean' } },
})
const seconds = Number(values.seconds)
const run = Date.now().toString(36)
/** Each scenario is a turn of one side and a turn of the other, so often: what else the machine does meanwhile falls on both. */
const TURNS = 5
/** Requests before the first turn: compiled, cached, connected. */
const WARM = 40
let made = 0

class Target {
  readonly name: string
  readonly root: string
  readonly pids: number[]
  readonly #password: string
  token = ''
  constructor(name: string, root: string, password: string, pids: string) {
    this.name = name
    this.root = root
    this.pids = pids.split(',').filter((pid) => pid !== '').map(Number)
    this.#password = password
  }

  async call(method: string, path: string, wanted: number, json?: unknown, headers: Record<string, string> = {}): Promise<string> {
    const answer = await send(method, `${this.root}${path}`, { 'x-auth-token': this.token, ...headers }, json === undefined ? undefined : JSON.stringify(json))
    if (answer.status !== wanted) throw new Error(`${this.name}: ${method} ${path} answered ${answer.status}: ${answer.text.slice(0, 200)}`)
    return answer.text
  }

  async login(user = 'admin', password = this.#password, project = 'admin'): Promise<string> {
    const domain = { id: 'default' }
    const auth = { identity: { methods: ['password'], password: { user: { name: user, domain, password } } }, ...(project === '' ? {} : { scope: { project: { name: project, domain } } }) }
    const answer = await send('POST', `${this.root}/v3/auth/tokens`, {}, JSON.stringify({ auth }))
    if (answer.status !== 201) throw new Error(`${this.name}: login answered ${answer.status}: ${answer.text.slice(0, 200)}`)
    return String(answer.headers['x-subject-token'])
  }
}

const row = (target: Target, scenario: string, at: number, m: Measure) =>
  console.log([target.name.padEnd(9), scenario.padEnd(34), `c=${at}`.padEnd(5), `${m.cpu_ms.toFixed(2)} ms CPU`.padStart(16), `p50 ${m.p50_ms.toFixed(1)}`.padStart(12), `p99 ${m.p99_ms.toFixed(1)}`.padStart(12), `n ${m.count}`.padStart(9), m.errors === 0 ? '' : `${m.errors} errors`].join(' '))

/** Scenario -> one request of it. */
const SCENARIOS: Record<string, (target: Target) => Promise<unknown>> = {
  'token issue': (target) => target.login(),
  'token validate': (target) => target.call('GET', '/v3/auth/tokens', 200, undefined, { 'x-subject-token': target.token }),
  'token validate, no catalog': (target) => target.call('GET', '/v3/auth/tokens?nocatalog', 200, undefined, { 'x-subject-token': target.token }),
  'project list': (target) => target.call('GET', '/v3/projects?limit=20', 200),
  'project create': (target) => target.call('POST', '/v3/projects', 201, { project: { name: `bench-${run}-${made++}` } }),
  'user by name': (target) => target.call('GET', '/v3/users?name=admin', 200),
}
/** What many at once are asked for. */
const AT_ONCE = ['token validate', 'token validate, no catalog', 'project list']

async function compare(targets: Target[], at: number, scenarios: string[]): Promise<void> {
  for (const scenario of scenarios) {
    const once = SCENARIOS[scenario] as (target: Target) => Promise<unknown>
    const slices = new Map<Target, Slice[]>(targets.map((target) => [target, []]))
    for (const target of targets) for (let n = 0; n < (scenario === 'token issue' ? 5 : WARM); n++) await once(target)
    for (let turn = 0; turn < TURNS; turn++) for (const target of targets) slices.get(target)?.push(await slice(target.pids, at, seconds / TURNS, async () => void (await once(target)), 4))
    const cpu = targets.map((target) => {
      const m = summed(slices.get(target) ?? [])
      row(target, scenario, at, m)
      return m.cpu_ms
    })
    const [ours, peer] = cpu
    if (ours !== undefined && peer !== undefined && ours > 0) console.log(`          ${scenario}: ${(peer / ours).toFixed(0)} times less CPU`)
  }
}

/** Others' requests while sixteen at once log in. */
async function underLogins(target: Target): Promise<void> {
  const validate = async () => void (await target.call('GET', '/v3/auth/tokens?nocatalog', 200, undefined, { 'x-subject-token': target.token }))
  const idle = await measure(target.pids, 1, seconds, validate)
  let stop = false
  const logins = Array.from({ length: 16 }, async () => {
    let count = 0
    while (!stop) {
      await target.login()
      count++
    }
    return count
  })
  const busy = await measure(target.pids, 1, seconds, validate)
  stop = true
  const count = (await Promise.all(logins)).reduce((sum, each) => sum + each, 0)
  row(target, 'validate, idle', 1, idle)
  row(target, `validate, 16 log in (${count} logins)`, 1, busy)
  console.log(`          p99 of other requests under logins: ${(busy.p99_ms / idle.p99_ms).toFixed(1)} times that of idle, p50 ${(busy.p50_ms / idle.p50_ms).toFixed(1)} times`)
}

/** What grows with the number of users and projects, if anything: to be read beside the same lines of an empty cloud. */
async function scale(target: Target, seeded: boolean): Promise<void> {
  const paths: Record<string, string> = {
    'users, first 100': '/v3/users?limit=100', 'users, 1,000': '/v3/users?limit=1000', 'users of a domain, 100': '/v3/users?domain_id=default&limit=100', 'users, from the middle': '/v3/users?limit=100&marker=80000000000000000000000000000000',
    'user by name': `/v3/users?name=${seeded ? 'seeded-user-050000' : 'admin'}`, 'projects, first 100': '/v3/projects?limit=100', 'projects of a domain, 100': '/v3/projects?domain_id=default&limit=100', 'project by name': `/v3/projects?name=${seeded ? 'seeded-project-005000' : 'admin'}`,
    'domains': '/v3/domains', 'my projects': '/v3/auth/projects',
  }
  for (const [name, path] of Object.entries(paths)) row(target, name, 1, await measure(target.pids, 1, Math.min(2, seconds), async () => void (await target.call('GET', path, 200))))
  const who = seeded ? ['seeded-user-050000', 'seeded password', 'seeded-project-000000'] as const : null
  row(target, seeded ? 'login of a seeded user' : 'login', 1, await measure(target.pids, 1, seconds, async () => void (who === null ? await target.login() : await target.login(...who))))
  row(target, 'validate', 1, await measure(target.pids, 1, seconds, async () => void (await target.call('GET', '/v3/auth/tokens?nocatalog', 200, undefined, { 'x-subject-token': target.token }))))
}

/** Loops of the lowest priority: a processor that sleeps, a virtual one above all, makes the first who wakes it pay. Ends them. */
function keepAwake(): () => void {
  const loops = Array.from({ length: availableParallelism() }, () => spawn('nice', ['-n', '19', process.execPath, '-e', 'for (;;) ;'], { stdio: 'ignore' }))
  return () => {
    for (const loop of loops) loop.kill('SIGKILL')
  }
}

const load = () => `load ${loadavg().map((each) => each.toFixed(1)).join(' ')}`
const ours = new Target('skyhook', values.ours ?? 'http://127.0.0.1:8787/identity', values['ours-password'] ?? '', values['ours-pids'] ?? '')
const peer = values.peer === undefined ? null : new Target('keystone', values.peer, values['peer-password'] ?? '', values['peer-pids'] ?? '')
const targets = peer === null ? [ours] : [ours, peer]
const rest = values.awake === true ? keepAwake() : () => {}
process.on('exit', rest)
for (const target of targets) target.token = await target.login()
console.log(`${load()}${values.awake === true ? ', processors kept awake by loops of the lowest priority' : ''}`)
await compare(targets, 1, Object.keys(SCENARIOS))
for (const at of [8, 16]) await compare(targets, at, AT_ONCE)
for (const at of [1, 2, 8, 16]) row(ours, 'token issue, but for the hash', at, await measure(ours.pids.slice(1), at, seconds, async () => void (await ours.login())))
await underLogins(ours)
await scale(ours, values.seeded ?? false)
console.log(load())
