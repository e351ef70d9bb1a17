/**
 * Start, idle memory and server create of the shipped single-machine mode: `node bench/start.ts [local|sim:N]`. Prints what it saw and the machine's load; asserts nothing.
 * A warm cache (bundle, guest image) is what a second start has; `SKYHOOK_CACHE` unset in a new home is the first.
 */
import { loadavg } from 'node:os'
import { readFileSync } from 'node:fs'
import { shipped } from '../test/support/shipped.ts'

const hosts = process.argv[2] ?? 'sim:3'
const rss_mib = (pid: number) => Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024)
const load = () => loadavg().map((value) => value.toFixed(1)).join(' ')

console.log(`load before: ${load()}`)
const cloud = await shipped(hosts)
try {
  console.log(`answering with hosts up: ${cloud.state().answering_ms} ms`)
  await cloud.until('image', async () => cloud.state().image === 'ready', 180_000)
  await new Promise((resolve) => setTimeout(resolve, 10_000))
  for (const [name, pid] of Object.entries(cloud.state().processes)) console.log(`idle memory ${name}: ${rss_mib(pid)} MiB`)
  const image = (await cloud.api.call('GET', '/image/v2/images?name=guest')).images[0].id
  const network = (await cloud.api.call('GET', '/network/v2.0/networks?name=private')).networks[0].id
  for (let n = 0; n < 4; n++) {
    const started = performance.now()
    const { server } = await cloud.api.call('POST', '/compute/v2.1/servers', { server: { name: `b${n}`, flavorRef: '1', imageRef: image, networks: [{ uuid: network }] } })
    const answered = performance.now()
    await cloud.until('ACTIVE', async () => (await cloud.api.call('GET', `/compute/v2.1/servers/${server.id}`)).server.status === 'ACTIVE', 60_000)
    console.log(`server create: answered in ${Math.round(answered - started)} ms, ACTIVE (QEMU runs) within ${Math.round(performance.now() - started)} ms${n === 0 ? ' (image not cached on the host)' : ''}`)
    await cloud.api.call('DELETE', `/compute/v2.1/servers/${server.id}`)
  }
  console.log(`load after: ${load()}`)
} finally {
  cloud.remove()
}
