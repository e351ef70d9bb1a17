/** What `start` and `status` print: where the cloud is and what to type next. */
import { existsSync } from 'node:fs'
import type { Home, RunState } from './home.ts'

export async function printReady(home: Home, state: RunState, say: (text: string) => void = console.log): Promise<void> {
  const image = state.image === 'ready' ? '' : "\n  (the image 'guest' is made in the background the first time, about half a minute: npm run status)"
  say(`
Skyhook is up at ${state.url} (${state.answering_ms === undefined ? '' : `${(state.answering_ms / 1000).toFixed(1)} s, `}${state.hosts.length} host${state.hosts.length === 1 ? '' : 's'}: ${state.hosts.slice(0, 5).join(', ')}${state.hosts.length > 5 ? ', ...' : ''})

  export OS_CLIENT_CONFIG_FILE=${home.clouds}
  openstack --os-cloud skyhook catalog list
  openstack --os-cloud skyhook server create --image guest --flavor m1.tiny --network private --wait vm1${image}

  or:  source ${home.openrc}
  or in a browser: ${state.url}/dashboard   (admin; the password is in ${home.clouds})
  logs: ${home.logs}   stop: npm stop   state: ${existsSync(home.dir) ? home.dir : ''}
`)
}
