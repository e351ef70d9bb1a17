/** `skyhook status`: services, hosts, versions, URLs; non-zero where the cloud does not answer. */
import { Api } from '../lib/api.ts'
import { homeOf, isAlive, runningSupervisor, secretsOf } from '../lib/home.ts'

export async function run(_args: string[]): Promise<number> {
  const home = homeOf()
  const state = runningSupervisor(home)
  if (state === null) {
    console.log('skyhook: it is not running (npm start).')
    return 3
  }
  const api = new Api(state.url, secretsOf(home).admin_password)
  const health = await api.healthy()
  console.log(`Skyhook ${health?.version ?? '?'} at ${state.url}: ${health === null ? 'does not answer' : state.phase}; image guest: ${state.image}${state.image_problem ? ` (${state.image_problem})` : ''}`)
  for (const [name, pid] of Object.entries(state.processes)) console.log(`  process  ${name.padEnd(12)} ${pid} ${isAlive(pid) ? 'runs' : 'is down'}`)
  if (health === null) return 1
  const { hosts } = await api.call('GET', '/agents/v1/hosts')
  for (const host of hosts) console.log(`  host     ${host.name.padEnd(24)} ${host.up ? 'up' : 'down'}  ${host.facts?.roles?.join(',') ?? ''}  agent ${host.facts?.agent_version ?? '?'}  ${Object.entries(host.facts?.drivers ?? {}).map(([kind, driver]) => `${kind}=${driver}`).join(' ')}`)
  const { catalog } = await api.call('GET', '/identity/v3/auth/catalog')
  for (const service of catalog) console.log(`  service  ${String(service.type).padEnd(14)} ${service.endpoints.find((endpoint: { interface: string }) => endpoint.interface === 'public')?.url ?? ''}`)
  return 0
}
