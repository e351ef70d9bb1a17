/**
 * The browser's part of the bundle: workers/dashboard/ui made into one module of texts (workers/dashboard/built.js, not kept in git), so that the Worker serves it
 * in every mode: plain workerd and miniflare have no assets of their own. wrangler calls this before it bundles (`[build]` in wrangler.toml).
 */
import { createHash } from 'node:crypto'
import { globSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { buildSync } from 'esbuild'
import { ROOT } from './home.ts'

export const BUILT = join(ROOT, 'workers/dashboard/built.js')
const UI = join(ROOT, 'workers/dashboard/ui')
const TYPES: Record<string, string> = { js: 'text/javascript', css: 'text/css', html: 'text/html', svg: 'image/svg+xml' }
/** Scripts and styles that pages name. */
const ENTRIES = ['main.tsx', 'style.css', 'consoles/vnc.ts', 'consoles/serial.ts']

export const uiSources = (): string[] => globSync('**/*', { cwd: UI }).map((path) => join(UI, path)).filter((path) => /\.\w+$/.test(path) && !path.endsWith('.test.ts'))

/** Makes it where a source is newer than what was made. */
export function buildUi(): void {
  const made = statSync(BUILT, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if ([...uiSources(), join(ROOT, 'package-lock.json'), join(ROOT, 'bin/lib/ui.ts')].every((path) => statSync(path).mtimeMs < made)) return
  const result = buildSync({
    entryPoints: ENTRIES.map((path) => join(UI, path)), outdir: '/', bundle: true, minify: true, write: false, format: 'esm', target: ['es2022'], entryNames: '[name]', charset: 'utf8', legalComments: 'eof', logLevel: 'silent', jsx: 'automatic', jsxImportSource: 'preact',
  })
  const files: Record<string, { type: string; etag: string; text: string }> = {}
  const add = (name: string, text: string) => {
    files[name] = { type: `${TYPES[name.split('.').at(-1) ?? ''] ?? 'text/plain'}; charset=utf-8`, etag: `"${createHash('sha256').update(text).digest('hex').slice(0, 20)}"`, text }
  }
  for (const { path, text } of result.outputFiles) add(basename(path), text)
  for (const path of uiSources().filter((path) => /\.(html|svg)$/.test(path))) add(basename(path), readFileSync(path, 'utf8'))
  // Renamed into place: several test processes may do this at once.
  const fresh = `${BUILT}.${process.pid}`
  writeFileSync(fresh, `// Made by bin/lib/ui.ts from workers/dashboard/ui.\nexport const FILES = ${JSON.stringify(files)}\n`)
  renameSync(fresh, BUILT)
}
