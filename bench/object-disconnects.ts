/**
 * 100,000 clients that go away in the middle of transfers, with the shipped plane and a real agent: descriptors, memory and unfinished files before, on the way and after.
 * `node bench/object-disconnects.ts [clients=100000] [at once=16]`. Prints one JSON line each; asserts nothing (test/shipped/disconnects.test.ts does).
 */
import { loadavg } from 'node:os'
import { DisconnectLab } from '../test/support/disconnects.ts'

const clients = Number(process.argv[2] ?? 100_000)
const at_once = Number(process.argv[3] ?? 16)
const STEPS = 10
const WARM_UP = 1_000

const lab = await DisconnectLab.start()
const print = (what: string, more: object) => console.log(JSON.stringify({ what, ...more }))
try {
  await lab.many(0, WARM_UP, at_once)
  const before = await lab.quiet(null)
  print('before', before)
  const began = performance.now()
  for (let step = 0; step < STEPS; step++) {
    await lab.many(WARM_UP + (step * clients) / STEPS, clients / STEPS, at_once)
    print('on the way', { clients: ((step + 1) * clients) / STEPS, seconds: Math.round((performance.now() - began) / 1_000), ...lab.held() })
  }
  const after = await lab.quiet(before)
  print('after', after)
  print('served', { ...lab.served, load: loadavg()[0] })
} finally {
  await lab.end()
}
