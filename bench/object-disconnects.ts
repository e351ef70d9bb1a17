/** 100,000 clients that go away in the middle of a download: open bodies and memory before and after. `node --expose-gc ... bench/object-disconnects.ts [clients=100000]` */
import { disconnecting } from '../test/api/object/disconnects.ts'

const clients = Number(process.argv[2] ?? 100_000)
const AT_ONCE = 50
const { cloud, once } = await disconnecting()
const heap_mib = () => {
  ;(globalThis as { gc?: () => void }).gc?.()
  return Math.round(process.memoryUsage().heapUsed / 1024 / 1024)
}
for (let n = 0; n < 1_000; n++) await once(n)
cloud.hosts.calls.length = 0
const before = heap_mib()
const began = performance.now()
for (let n = 0; n < clients; n += AT_ONCE) {
  await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => once(n + at)))
  cloud.hosts.calls.length = 0
}
await new Promise((resolve) => setTimeout(resolve, 1_000))
console.log(JSON.stringify({ clients, seconds: Math.round((performance.now() - began) / 1_000), open_bodies: cloud.hosts.open, heap_before_mib: before, heap_after_mib: heap_mib() }))
cloud.close()
