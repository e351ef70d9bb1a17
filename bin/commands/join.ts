/** `skyhook join URL TOKEN`: makes this machine a host: joins once, then runs its agent in the foreground (a unit file is in docs/operate.md). */
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { bundle } from '../lib/bundle.ts'
import { homeOf, makeHome } from '../lib/home.ts'
import { installPackages } from '../lib/packages.ts'
import { Problem } from '../lib/problem.ts'
import { CHILD_ENV } from '../lib/processes.ts'
import { agentFlags } from './supervise.ts'

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { roles: { type: 'string' }, name: { type: 'string' }, door: { type: 'string' }, objects: { type: 'string' } } })
  const [url, token] = positionals
  if (url === undefined || !/^https?:\/\//.test(url)) throw new Problem('join takes the URL of the cloud and a one-time token: npx skyhook join https://cloud.example.org TOKEN')
  if (process.getuid?.() !== 0) throw new Problem('a host needs root (QEMU, Open vSwitch, taps).')
  installPackages((text) => console.log(`skyhook: ${text}`))
  const home = homeOf()
  makeHome(home)
  const { agent } = await bundle(home)
  const argv = [...agentFlags(values.door !== undefined), agent, '--plane', url, '--state', home.host, '--roles', values.roles ?? 'compute,volume,gateway,object,image', ...(values.name === undefined ? [] : ['--name', values.name]), ...(values.objects === undefined ? [] : ['--objects', values.objects]), ...(values.door === undefined ? [] : ['--door', values.door])]
  const child = spawn(process.execPath, argv, { stdio: 'inherit', env: { ...process.env, ...CHILD_ENV, ...(token === undefined ? {} : { SKYHOOK_JOIN_TOKEN: token }) } })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal as NodeJS.Signals))
  return await new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)))
}
