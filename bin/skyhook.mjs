#!/usr/bin/env node
// Bootstrap in plain JavaScript, for any Node >= 20: installs the pinned dependencies where they are missing, then runs bin/main.ts with the Node they bring.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
const mark = join(modules, '.skyhook-lock')
const lock = readFileSync(join(root, 'package-lock.json'), 'utf8')

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`skyhook: Node ${process.versions.node} is too old; version 20 or newer is needed.`)
  process.exit(1)
}
const installed = existsSync(join(modules, '.package-lock.json')) && (existsSync(mark) ? readFileSync(mark, 'utf8') === lock : statSync(join(modules, '.package-lock.json')).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs)
if (!installed) {
  console.log('skyhook: installing dependencies (npm ci) ...')
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (npm.status !== 0) {
    console.error('skyhook: npm ci failed; see the lines above.')
    process.exit(1)
  }
}
if (!existsSync(mark) || readFileSync(mark, 'utf8') !== lock) {
  try {
    writeFileSync(mark, lock)
  } catch {}
}
const bundled = join(modules, '.bin', 'node')
const node = existsSync(bundled) ? bundled : process.execPath
const child = spawn(node, ['--disable-warning=ExperimentalWarning', join(root, 'bin', 'main.ts'), ...process.argv.slice(2)], { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1))
