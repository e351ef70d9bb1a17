/** `skyhook COMMAND`: start, stop, status, verify, dev, join, host. One sentence and a non-zero exit for what cannot be done. */
import { Problem } from './lib/problem.ts'

const COMMANDS: Record<string, () => Promise<{ run(args: string[]): Promise<number> }>> = {
  start: () => import('./commands/start.ts'),
  stop: () => import('./commands/stop.ts'),
  status: () => import('./commands/status.ts'),
  verify: () => import('./commands/verify.ts'),
  dev: () => import('./commands/dev.ts'),
  join: () => import('./commands/join.ts'),
  ring: () => import('./commands/ring.ts'),
  host: () => import('./commands/host.ts'),
  import: () => import('./commands/import.ts'),
  ui: () => import('./commands/ui.ts'),
  supervise: () => import('./commands/supervise.ts'),
}

const USAGE = `skyhook COMMAND
  start [--detach] [--listen ADDR:PORT] [--hosts local|sim:N[,...]] [--door ADDR:PORT]   bring the cloud up on this machine
  stop                                                               end it (servers of the real host keep running unless --guests)
  status                                                             services, hosts, versions, URLs
  verify                                                             check the invariants of the running cloud
  host token | host list | host door HOST URL|none                   one-time token for a new host; hosts; the object store on site
  ring status | weight | drain | remove | add | set | rebalance | run   the object store's ring: how well it is, and changes (skyhook ring help)
  join URL TOKEN [--roles ROLE,...] [--door ADDR:PORT] [--objects DIR] make this machine a host of the cloud at URL
  import keystone FILE                                               users, projects, roles of a Keystone (docs/import-keystone.md)
  dev                                                                development mode: miniflare with reload
State lives in $SKYHOOK_HOME (default .skyhook in the checkout).`

const [name = 'help', ...args] = process.argv.slice(2)
const load = COMMANDS[name]
if (load === undefined) {
  console.log(USAGE)
  process.exit(name === 'help' || name === '--help' ? 0 : 2)
}
try {
  process.exitCode = await (await load()).run(args)
} catch (error) {
  const isUsage = String((error as { code?: unknown } | null)?.code ?? '').startsWith('ERR_PARSE_ARGS')
  console.error(error instanceof Problem || isUsage ? `skyhook: ${(error as Error).message}` : error)
  process.exitCode = 1
}
