/** `skyhook host token|list`: one-time tokens for new hosts, and the hosts there are. */
import { Api } from '../lib/api.ts'
import { homeOf, runningSupervisor, secretsOf } from '../lib/home.ts'
import { Problem } from '../lib/problem.ts'

export async function run(args: string[]): Promise<number> {
  const home = homeOf()
  const state = runningSupervisor(home)
  if (state === null) throw new Problem('it is not running (npm start).')
  const api = new Api(state.url, secretsOf(home).admin_password)
  if (args[0] === 'token') {
    const { join_token } = await api.call('POST', '/agents/v1/join-tokens', {})
    console.log(`On the new host, in a checkout, until ${join_token.expires_at}:\n  npx skyhook join ${state.url} ${join_token.token}`)
    return 0
  }
  if (args[0] === 'list') {
    const { hosts } = await api.call('GET', '/agents/v1/hosts')
    for (const host of hosts) console.log(`${host.id}  ${host.name.padEnd(24)} ${host.up ? 'up' : 'down'}  ${host.availability_zone}`)
    return 0
  }
  throw new Problem('host takes `token` or `list`.')
}
