/** The style as a test: size of files and functions, layering, banned calls. What is over today is listed with its size and may only shrink. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { VERSION } from '../schema/values/version.ts'

const ROOT = join(import.meta.dirname, '..')
export const FILE_LINES_MAX = 400
export const FUNCTION_LINES_MAX = 70

const files = globSync(['workers/**/*.ts', 'workers/**/*.tsx', 'durable-objects/**/*.ts', 'schema/**/*.ts', 'agent/**/*.ts', 'bin/**/*.ts', 'test/**/*.ts'], { cwd: ROOT }).filter((path) => !path.includes('node_modules')).sort()
const text = new Map(files.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]))
const sources = files.filter((path) => !path.endsWith('.test.ts') && !path.startsWith('test/'))
const baseline = JSON.parse(readFileSync(join(ROOT, 'test/tidy.baseline.json'), 'utf8')) as { files: Record<string, number>; functions: Record<string, number> }

test('a file has at most 400 lines', () => {
  const over = files.filter((path) => (text.get(path) ?? '').split('\n').length - 1 > Math.max(FILE_LINES_MAX, baseline.files[path] ?? 0))
  assert.deepEqual(over, [])
})

/** Functions by indentation: from a line that opens one to the line that closes it at the same depth. */
function longFunctions(path: string): { name: string; lines: number }[] {
  const lines = (text.get(path) ?? '').split('\n')
  const found: { name: string; lines: number }[] = []
  lines.forEach((line, start) => {
    const open = /^(\s*)(?:export )?(?:default )?(?:override )?(?:static )?(?:async )?(?:function\*? (\w+)|(#?\w+)\([^)]*\)(?:: [^{]+)? \{$|const (\w+) = (?:async )?\()/.exec(line)
    if (open === null || !line.trimEnd().endsWith('{') || /^\s*(if|for|while|switch|catch)\b/.test(line)) return
    const end = lines.findIndex((other, at) => at > start && other.startsWith(`${open[1]}}`))
    // A factory is a module in a function: what it holds is measured, and its file.
    if (/^(create[A-Z]|\w+Conformance$)/.test(open[2] ?? '')) return
    if (end - start + 1 > FUNCTION_LINES_MAX) found.push({ name: `${path}:${open[2] ?? open[3] ?? open[4]}`, lines: end - start + 1 })
  })
  return found
}

test('a function has at most 70 lines', () => {
  const over = sources.flatMap(longFunctions).filter(({ name, lines }) => lines > (baseline.functions[name] ?? 0))
  assert.deepEqual(over, [])
})

const imports = (path: string) => [...(text.get(path) ?? '').matchAll(/^(?:import|export) (type )?[^'"]*?from '([^']+)'/gm)].map((match) => ({ type: match[1] !== undefined, from: match[2] ?? '' }))
const resolve = (path: string, from: string) => (from.startsWith('.') ? join(path, '..', from) : from)

test('imports go one way', () => {
  const bad: string[] = []
  for (const path of sources) {
    for (const { from, type } of imports(path)) {
      const target = resolve(path, from)
      const say = (why: string) => bad.push(`${path} imports ${target}: ${why}`)
      // A door is the object store's handlers on site (docs/decisions/0004): it may import them and the kernel that runs them, and of objects types alone.
      const ofDoor = path.startsWith('agent/door/') && (/^workers\/(object|http)\//.test(target) || (type && target.startsWith('durable-objects/')))
      if (path.startsWith('agent/') && /^(workers|durable-objects)\//.test(target) && !ofDoor) say('the agent knows only schema/')
      if (path.startsWith('agent/') && !path.startsWith('agent/door/') && target.startsWith('agent/door/')) say('doors are loaded only where there is one')
      if (/^(workers|durable-objects)\//.test(path) && target.startsWith('agent/')) say('the plane never imports the agent')
      if (path.startsWith('workers/http/') && /^workers\/(identity|image|volume|compute|network|object|placement)\//.test(target)) say('the kernel knows no service')
      if (/\/(views|states|requests|policy)\.ts$/.test(path) && !type && /\/(store|routes)\.ts$/.test(target)) say('views, states, requests and policies are pure')
      if (/\/store\.ts$/.test(path) && !type && target.startsWith('workers/http/')) say('stores run in objects, not in requests')
    }
  }
  assert.deepEqual(bad, [])
})

test('banned calls', () => {
  const bad: string[] = []
  for (const path of sources) {
    const body = (text.get(path) ?? '').replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
    const ban = (pattern: RegExp, why: string, except: RegExp) => {
      if (!except.test(path) && pattern.test(body)) bad.push(`${path}: ${why}`)
    }
    ban(/\bchild_process\b/, 'only agent/host/exec.ts and bin/ spawn', /^(agent\/host\/exec\.ts|bin\/)/)
    ban(/shell:\s*true/, 'argv only, never a shell', /^$/)
    ban(/\bDate\.now\(\)/, 'time is passed in', /^(bin\/|schema\/values\/time\.ts|agent\/(main|timers|sim\/mini-plane)\.ts)/)
    ban(/\bMath\.random\(\)/, 'randomness is passed in', /^schema\/values\/random\.ts|^bin\//)
    ban(/\beval\(|new Function\(/, 'no code from text', /^$/)
    ban(/\b(inner|outer)HTML\b|document\.write\b|insertAdjacentHTML|dangerouslySetInnerHTML/, 'no page from text: names are shown, never parsed', /^$/)
    if (!/^\/\*\*|^#!/.test(text.get(path) ?? '')) bad.push(`${path}: a module opens with a paragraph that says what it is`)
  }
  assert.deepEqual(bad, [])
})

test('an object waits by its own timers: what the platform keeps of one that was cancelled adds up as long as it lives (durable-objects/kernel/timers.ts)', () => {
  const inObjects = sources.filter((path) => path.startsWith('durable-objects/') || path.startsWith('workers/object/container/'))
  const own = new Set(['durable-objects/kernel/deps.ts', 'durable-objects/kernel/env.ts'])
  assert.deepEqual(inObjects.filter((path) => !own.has(path) && /systemTimers|setTimeout\(|setInterval\(/.test(text.get(path) ?? '')), [])
})

test('one version: package.json and what plane and agents say', () => {
  assert.equal((JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version, VERSION)
})
