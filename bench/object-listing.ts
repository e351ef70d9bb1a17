/**
 * How long a page of 10,000 names takes out of a container of many: shipped mode, rows seeded straight into the Container object's database while the cloud is stopped, pages
 * from random markers, with the plane's CPU for each. `node bench/object-listing.ts [objects=1000000] [pages=100]`
 */
import { readFileSync, readdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { shipped } from '../test/support/shipped.ts'

const PAGE = 10_000
const [objects = 1_000_000, pages = 100] = process.argv.slice(2).map(Number)
const nameAt = (n: number): string => `folder/${String(n).padStart(9, '0')}.dat`

const TICK_MS = 10

/** CPU of the plane so far, in ms. */
function cpuNow(): number {
  const text = readFileSync(`/proc/${cloud.state().processes.workerd}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

const cloud = await shipped('sim:1', { SKYHOOK_OPTIONS: JSON.stringify({ swift: { shard_container_threshold: 1e12 } }) })
try {
  const { token, root } = await login()
  await cloud.call('PUT', `${root}/bench`, { token })
  cloud.stop()
  seed(join(cloud.home, 'objects'))
  const started = cloud.start()
  if (started.status !== 0) throw new Error(started.stderr)
  // A connection kept from before the restart breaks at its next use.
  const { token: fresh } = await login().catch(login)
  for (const format of ['plain', 'json'] as const) {
    const took: number[] = []
    let before = 0
    for (let n = 0; n < pages + 3; n++) {
      if (n === 3) before = cpuNow()
      const marker = nameAt(Math.floor((((n * 7919) % 997) / 997) * Math.max(1, objects - PAGE)))
      const began = performance.now()
      const answer = await fetch(`${cloud.url}${root}/bench?format=${format}&limit=${PAGE}&marker=${encodeURIComponent(marker)}`, { headers: { 'x-auth-token': fresh } })
      const text = Buffer.from(await answer.arrayBuffer()).toString()
      const ms = performance.now() - began
      if (answer.status !== 200) throw new Error(`listing answered ${answer.status}`)
      const count = format === 'json' ? (JSON.parse(text) as unknown[]).length : text.split('\n').length - 1
      if (count !== Math.min(PAGE, objects - 1 - Math.floor((((n * 7919) % 997) / 997) * Math.max(1, objects - PAGE)))) throw new Error(`a page has ${count} names`)
      // The first ones warm the caches.
      if (n >= 3) took.push(ms)
    }
    took.sort((a, b) => a - b)
    const at = (share: number) => (took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0).toFixed(1)
    console.log(JSON.stringify({ objects, page: PAGE, format, pages, p50_ms: Number(at(0.5)), p90_ms: Number(at(0.9)), p99_ms: Number(at(0.99)), min_ms: Number(at(0)), cpu_ms: Number(((cpuNow() - before) / pages).toFixed(1)), load: loadavg()[0]?.toFixed(1) }))
  }
} finally {
  cloud.remove()
}

async function login(): Promise<{ token: string; root: string }> {
  const domain = { id: 'default' }
  const auth = { identity: { methods: ['password'], password: { user: { name: 'admin', domain, password: cloud.password } } }, scope: { project: { name: 'admin', domain } } }
  const answer = await cloud.call('POST', '/identity/v3/auth/tokens', { json: { auth } })
  const { token } = answer.body as { token: { project: { id: string } } }
  return { token: answer.headers.get('x-subject-token') ?? '', root: `/object-store/v1/AUTH_${token.project.id}` }
}

/** Fills the listing of the one container named 'bench'. */
function seed(dir: string): void {
  for (const file of readdirSync(dir, { recursive: true }).map(String).filter((one) => one.includes('ContainerObject') && one.endsWith('.sqlite'))) {
    const database = new DatabaseSync(join(dir, file))
    const known = database.prepare("SELECT name FROM sqlite_master WHERE name = 'container'").get()
    if (known !== undefined && (database.prepare('SELECT name FROM container').get() as { name?: string } | undefined)?.name === 'bench') {
      database.exec('BEGIN')
      const insert = database.prepare("INSERT INTO objects (name, at, modified_at, size, etag, content_type) VALUES (?, '1700000000.00000', '1700000000.00000', 1234, 'd41d8cd98f00b204e9800998ecf8427e', 'application/octet-stream')")
      for (let n = 0; n < objects; n++) insert.run(nameAt(n))
      database.exec(`UPDATE container SET object_count = ${objects}, bytes_used = ${objects * 1234}`)
      database.exec('COMMIT')
      database.close()
      return
    }
    database.close()
  }
  throw new Error('no database of the container was found')
}
