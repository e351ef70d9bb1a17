/** `npm run dev`: the same bundle under miniflare, rebuilt and reloaded when a source changes; simulated hosts beside it. Not how a user runs it: see docs/operate.md. */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Plugin, context } from 'esbuild'
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from 'miniflare'
import { Api, joinToken } from '../lib/api.ts'
import { compatibilityDate } from '../lib/bundle.ts'
import { cloudsYaml } from '../lib/clouds.ts'
import { OBJECT_CLASSES } from '../lib/config.ts'
import { ROOT, homeOf, makeHome, secretsOf, writePrivate } from '../lib/home.ts'
import { parseStart } from '../lib/options.ts'
import { buildUi, uiSources } from '../lib/ui.ts'

/** The dashboard's files are made before each bundle, and watched. */
const UI_FIRST: Plugin = {
  name: 'ui',
  setup: (build) => {
    build.onStart(() => buildUi())
    build.onLoad({ filter: /workers\/dashboard\/routes\.ts$/ }, ({ path }) => ({ contents: readFileSync(path, 'utf8'), loader: 'ts', watchFiles: uiSources() }))
  },
}

export async function run(args: string[]): Promise<number> {
  const options = parseStart(args.includes('--hosts') ? args : [...args, '--hosts', 'sim:3'])
  const home = homeOf({ ...process.env, SKYHOOK_HOME: process.env.SKYHOOK_HOME ?? join(ROOT, '.skyhook', 'dev') })
  makeHome(home)
  const secrets = secretsOf(home)
  const url = `http://${options.address}:${options.port}`
  let running: Miniflare | null = null
  let ready: () => void = () => {}
  const up = new Promise<void>((resolve) => {
    ready = resolve
  })
  const out = join(home.run, 'dev.js')
  const config = () => convertV4MiniflareOptions({
    host: options.address, port: options.port, cf: false, log: new Log(LogLevel.WARN), modules: [{ type: 'ESModule' as const, path: out }], modulesRoot: home.run, compatibilityDate: compatibilityDate(), compatibilityFlags: ['nodejs_compat'],
    durableObjects: Object.fromEntries(Object.entries(OBJECT_CLASSES).map(([name, className]) => [name, { className, useSQLite: true }])), durableObjectsPersist: home.objects,
    bindings: { REGION_NAME: 'RegionOne', BOOTSTRAP_ADMIN_PASSWORD: secrets.admin_password, IDENTITY_KEYS: secrets.identity_keys, OBJECT_KEYS: secrets.object_keys, BODY_BYTES_MAX: '0' },
  })
  const reload = async () => {
    if (running === null) running = new Miniflare(config())
    else await running.setOptions(config())
    await running.ready
    ready()
    console.log(`skyhook dev: ${url} (OS_CLIENT_CONFIG_FILE=${home.clouds})`)
  }
  mkdirSync(home.run, { recursive: true })
  const watcher = await context({
    entryPoints: [join(ROOT, 'workers/index.ts')], bundle: true, format: 'esm', target: 'es2024', external: ['node:*', 'cloudflare:*'], outfile: out, logLevel: 'warning',
    plugins: [UI_FIRST, { name: 'reload', setup: (build) => build.onEnd(async (result) => void (result.errors.length === 0 && (await reload()))) }],
  })
  await watcher.watch()
  writePrivate(home.clouds, cloudsYaml({ url, password: secrets.admin_password, region: 'RegionOne' }))
  await up
  const count = Math.max(1, options.hosts.simulated)
  const token = await joinToken(new Api(url, secrets.admin_password), count)
  const agents = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'agent/main.ts'), '--plane', url, '--state', join(home.dir, 'sim'), '--sim', String(count)], { stdio: 'inherit', env: { ...process.env, SKYHOOK_JOIN_TOKEN: token } })
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => resolve())
  })
  agents.kill('SIGTERM')
  await watcher.dispose()
  await (running as Miniflare | null)?.dispose()
  return 0
}
