/** The whole suite, as named groups one after another: what each needs, what was left out and why, and the sum of the tests at the end. */
import { spawn, spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const NODE = ['--disable-warning=ExperimentalWarning', '--import', './test/support/register.ts', '--test', '--test-reporter=spec', '--test-reporter-destination=stdout']
const root = process.getuid?.() === 0

interface Group {
  name: string
  /** Needs root and Debian packages. */
  root: boolean
  files?: string[]
  command?: string[]
  concurrency?: number
  timeout_s: number
}

const files = (...patterns: string[]) => globSync(patterns, { cwd: ROOT }).filter((path) => !path.includes('node_modules')).sort()

const GROUPS: Group[] = [
  { name: 'types', root: false, command: ['bash', '-c', 'tsc -p tsconfig.json && tsc -p agent/tsconfig.json && tsc -p test/tsconfig.json && tsc -p workers/dashboard/ui/tsconfig.json'], timeout_s: 600 },
  { name: 'lint', root: false, command: ['biome', 'lint', '--error-on-warnings', '--diagnostic-level=warn', '.'], timeout_s: 300 },
  { name: 'unit', root: false, files: files('{workers,durable-objects,schema,agent,bin}/**/*.test.ts', 'test/tidy.test.ts', 'test/ledger/*.test.ts', 'test/diff/*.test.ts'), concurrency: 2, timeout_s: 900 },
  { name: 'api', root: false, files: files('test/api/**/*.test.ts'), concurrency: 2, timeout_s: 900 },
  { name: 'simulator', root: false, files: files('test/sim/*.test.ts'), concurrency: 1, timeout_s: 1_500 },
  { name: 'bundle', root: false, command: ['node', 'node_modules/wrangler/bin/wrangler.js', 'deploy', '--dry-run', '--outdir', 'dist'], timeout_s: 300 },
  { name: 'shipped', root: false, files: files('test/shipped/*.test.ts'), concurrency: 1, timeout_s: 600 },
  { name: 'drivers', root: true, files: files('test/drivers/*.test.ts'), concurrency: 1, timeout_s: 600 },
  { name: 'probe', root: true, files: files('test/probe/*.test.ts'), concurrency: 1, timeout_s: 900 },
  { name: 'kill', root: true, files: files('test/kill/*.test.ts'), concurrency: 1, timeout_s: 1_200 },
  { name: 'clients', root: true, files: files('test/clients/*.test.ts'), concurrency: 1, timeout_s: 1_800 },
]

/** Programs (or files) of the suites that need root, by the Debian package that brings them. */
const PACKAGES: [string, string][] = [
  ['openstack', 'python3-openstackclient'], ['sshpass', 'sshpass'], ['ssh', 'openssh-client'], ['mkfs.xfs', 'xfsprogs'], ['busybox', 'busybox-static'], ['ping', 'iputils-ping'], ['arping', 'iputils-arping'], ['jq', 'jq'], ['tcpdump', 'tcpdump'],
  ['slapd', 'slapd'], ['openssl', 'openssl'], ['chromium', 'chromium'], ['/usr/bin/aws', 'awscli'], ['/usr/lib/python3/dist-packages/boto3', 'python3-boto3'], ['s3cmd', 's3cmd'], ['rclone', 'rclone'], ['restic', 'restic'], ['s3fs', 's3fs'], ['swift', 'python3-swiftclient'],
]

async function installTestPackages(): Promise<void> {
  const { installPackages } = await import('../bin/lib/packages.ts')
  installPackages((text) => console.log(text))
  const missing = PACKAGES.filter(([program]) => spawnSync('sh', ['-c', `command -v ${program} || test -e ${program}`]).status !== 0).map(([, name]) => name)
  if (missing.length === 0) return
  console.log(`installing for the tests: ${missing.join(' ')}`)
  spawnSync('apt-get', ['update', '-q'], { stdio: 'ignore' })
  // Run level 1: what a package serves is not started; tests start their own.
  const done = spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' } })
  if (done.status !== 0) throw new Error(`apt-get could not install ${missing.join(' ')}`)
}

interface Result {
  passed: number
  failed: number
  skipped: number
}

function runGroup(group: Group): Promise<Result> {
  const argv = group.command ?? ['node', ...NODE, `--test-concurrency=${group.concurrency ?? 1}`, ...(group.files ?? [])]
  return new Promise((resolve) => {
    const [program = '', ...args] = argv
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, CI: process.env.CI ?? '', FORCE_COLOR: '0' }, detached: true })
    let tail = ''
    let late = false
    const timer = setTimeout(() => {
      late = true
      try {
        process.kill(-(child.pid ?? 0), 'SIGKILL')
      } catch {}
    }, group.timeout_s * 1_000)
    child.stdout.on('data', (chunk: Buffer) => {
      process.stdout.write(chunk)
      tail = (tail + chunk.toString()).slice(-20_000)
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      const count = (word: string) => Number(new RegExp(`^ℹ ${word} (\\d+)`, 'm').exec(tail)?.[1] ?? 0)
      if (late) console.log(`${group.name}: stopped after ${group.timeout_s} s`)
      if (group.files === undefined) return resolve({ passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 })
      const failed = count('fail') + count('cancelled')
      resolve({ passed: count('pass'), failed: code === 0 ? failed : Math.max(1, failed), skipped: count('skipped') + count('todo') })
    })
  })
}

const only = process.argv.slice(2)
const sum: Result = { passed: 0, failed: 0, skipped: 0 }
const leftOut: string[] = []
const lines: string[] = []
if (root && (only.length === 0 || GROUPS.some((group) => group.root && only.includes(group.name)))) await installTestPackages()
for (const group of GROUPS) {
  if (only.length > 0 && !only.includes(group.name)) continue
  if (group.files !== undefined && group.files.length === 0) continue
  if (group.root && !root) {
    leftOut.push(`${group.name} (needs root)`)
    continue
  }
  console.log(`\n==== ${group.name}`)
  const started = Date.now()
  const result = await runGroup(group)
  lines.push(`${group.name.padEnd(10)} ${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped in ${((Date.now() - started) / 1000).toFixed(0)} s`)
  sum.passed += result.passed
  sum.failed += result.failed
  sum.skipped += result.skipped
}
console.log(`\n${lines.map((line) => `  ${line}`).join('\n')}`)
if (leftOut.length > 0) console.log(`left out: ${leftOut.join(', ')}`)
console.log(`${sum.passed} passed, ${sum.failed} failed`)
process.exit(sum.failed === 0 && sum.passed > 0 ? 0 : 1)
