/** `skyhook host token|list|door`: one-time tokens for new hosts, the hosts there are, and which of them are doors of the object store. */
import { Api } from '../lib/api.ts'
import { setDoor } from '../lib/door.ts'
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
  if (args[0] === 'door') {
    const [, host, url] = args
    if (host === undefined || url === undefined || !(url === 'none' || /^https?:\/\/[^/\s]+$/.test(url))) throw new Problem('host door takes a host and the origin of its door, or `none`: npx skyhook host door HOST http://192.0.2.10:8788')
    await setDoor(api, host, url === 'none' ? null : url)
    return 0
  }
  throw new Problem('host takes `token`, `list` or `door`.')
}
