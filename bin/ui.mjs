#!/usr/bin/env node
// What wrangler runs before it bundles ([build] in wrangler.toml): `skyhook ui` by the Node that the dependencies bring, for any Node >= 20. Installs nothing.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bundled = join(root, 'node_modules', '.bin', 'node')
const done = spawnSync(existsSync(bundled) ? bundled : process.execPath, ['--disable-warning=ExperimentalWarning', join(root, 'bin', 'main.ts'), 'ui'], { stdio: 'inherit' })
process.exit(done.status ?? 1)
