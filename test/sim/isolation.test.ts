/** What one tenant sees depends on that tenant's state alone: the same walk gets the same answers, word for word, with and without another tenant at work beside it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Model, operate, prepare } from './operations.ts'
import { walk } from './scenario.ts'
import { SimCloud } from './simcloud.ts'

/** What is random or tells the time is named by the order in which it appears; what is of shared pools (floating addresses, hosts) by what it is. */
function plain(text: string, names: Map<string, string>): string {
  const named = (found: string): string => {
    if (!names.has(found)) names.set(found, `<id ${names.size}>`)
    return names.get(found) ?? ''
  }
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, named)
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?/g, '<time>')
    .replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, '<mac>')
    .replace(/172\.24\.4\.\d+|192\.168\.0\.\d+/g, '<shared address>')
    .replace(/sim-\d(@[\w#-]+)?/g, '<host>')
    .replace(/"(adminPass|OS-EXT-SRV-ATTR:reservation_id|reservation_id)":"[^"]*"/g, '"$1":"<random>"')
}

async function answers(withOthers: boolean): Promise<{ seen: string[]; others: number }> {
  const sim = await SimCloud.start(7, 3)
  try {
    const model = new Model()
    await prepare(sim, model)
    const seen: string[] = []
    const names = new Map<string, string>()
    const call = sim.call.bind(sim)
    sim.call = async (tenant, method, path, json, options) => {
      const answer = await call(tenant, method, path, json, options)
      if (tenant === 'project-a') seen.push(plain(`${method} ${path} ${answer.status} ${answer.text}`, names))
      return answer
    }
    const beside = new Model()
    Object.assign(beside, { imageId: model.imageId, publicId: model.publicId, sharedId: model.sharedId })
    for (const [tenant, network] of model.networks) beside.networks.set(tenant, network)
    for (let n = 0; withOthers && n < 40; n++) sim.world.after(sim.world.random.below(120_000), () => void operate(sim, beside, 'project-b').catch(() => {}))
    await walk(sim, model)
    return { seen, others: beside.answers }
  } finally {
    sim.close()
  }
}

test('a tenant gets the same answers whether or not another one is at work', async () => {
  const [alone, beside] = [await answers(false), await answers(true)]
  assert.ok(alone.seen.length > 25 && alone.others === 0 && beside.others > 15, `${alone.seen.length} answers, ${beside.others} of the other tenant`)
  assert.deepEqual(beside.seen, alone.seen)
})
