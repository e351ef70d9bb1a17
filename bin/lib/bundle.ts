/**
 * The bundle: what `wrangler deploy` would ship, made by wrangler itself and kept by the hash of its sources; the hasher and the agent, by esbuild. The agent runs
 * bundled because Node's own TypeScript stripping costs it 50 MB of memory and half a second.
 */
import { createHash } from 'node:crypto'
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { type Home, ROOT } from './home.ts'
import { Problem } from './problem.ts'

export interface Bundles {
  plane: string
  hasher: string
  agent: string
  compatibility_date: string
}

/** Bundles of older sources kept beside the current one: a rollback starts at once. */
const KEPT = 3

function sourcesHash(): string {
  const hash = createHash('sha256')
  for (const pattern of ['workers/**/*', 'durable-objects/**/*.ts', 'schema/**/*.ts', 'agent/**/*.ts', 'wrangler.toml', 'package-lock.json', 'bin/lib/bundle.ts', 'bin/lib/ui.ts']) {
    for (const path of globSync(pattern, { cwd: ROOT, withFileTypes: false }).sort()) {
      if (path.endsWith('.test.ts') || path.startsWith('workers/dashboard/built.js') || !/\.\w+$/.test(path)) continue
      hash.update(path)
      hash.update(readFileSync(join(ROOT, path)))
    }
  }
  return hash.digest('hex').slice(0, 16)
}

export const compatibilityDate = (): string => /compatibility_date\s*=\s*"([^"]+)"/.exec(readFileSync(join(ROOT, 'wrangler.toml'), 'utf8'))?.[1] ?? ''

export async function bundle(home: Home): Promise<Bundles> {
  const dir = join(home.cache, 'bundle')
  const name = sourcesHash()
  const out = join(dir, name)
  if (!existsSync(join(out, 'index.js'))) {
    mkdirSync(dir, { recursive: true })
    const fresh = join(dir, `${name}.new`)
    rmSync(fresh, { recursive: true, force: true })
    await Promise.all([
      wranglerBundle(fresh),
      build({ entryPoints: [join(ROOT, 'workers/hasher/index.ts')], bundle: true, format: 'esm', target: 'es2024', external: ['node:*', 'cloudflare:*'], outfile: `${fresh}.hasher.js`, logLevel: 'silent' }),
      agentBundle(`${fresh}.agent.mjs`),
    ])
    for (const name of ['hasher.js', 'agent.mjs']) {
      cpSync(`${fresh}.${name}`, join(fresh, name))
      rmSync(`${fresh}.${name}`)
    }
    rmSync(out, { recursive: true, force: true })
    renameSync(fresh, out)
    for (const old of readdirSync(dir).filter((entry) => entry !== name).slice(0, -KEPT)) rmSync(join(dir, old), { recursive: true, force: true })
  }
  return { plane: join(out, 'index.js'), hasher: join(out, 'hasher.js'), agent: join(out, 'agent.mjs'), compatibility_date: compatibilityDate() }
}

/** Native modules stay outside, by their absolute path: the bundle may lie in another home than the checkout. */
async function agentBundle(outfile: string): Promise<void> {
  const require = createRequire(join(ROOT, 'package.json'))
  await build({
    entryPoints: [join(ROOT, 'agent/main.ts')], bundle: true, platform: 'node', format: 'esm', target: 'node22', outfile, logLevel: 'silent', minifySyntax: true,
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
    plugins: [{ name: 'native', setup: (builder) => builder.onResolve({ filter: /^koffi$/ }, () => ({ path: require.resolve('koffi'), external: true })) }],
  })
}

/** `wrangler deploy --dry-run` writes exactly what a deploy uploads. */
function wranglerBundle(out: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const wrangler = join(ROOT, 'node_modules/wrangler/bin/wrangler.js')
    const child = spawn(process.execPath, [wrangler, 'deploy', '--dry-run', '--outdir', out], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true', NO_COLOR: '1', WRANGLER_LOG_PATH: join(out, '..', 'wrangler.log') } })
    let text = ''
    child.stdout.on('data', (chunk) => (text += chunk))
    child.stderr.on('data', (chunk) => (text += chunk))
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Problem(`the bundle could not be made:\n${text.slice(-2_000)}`))))
  })
}
