import assert from 'node:assert/strict'
import { it } from 'node:test'
import { guestPort, labId, networkConformance, tenantNetwork } from './conformance.ts'
import { createFakeNetworkDisk, createFakeNetworkDriver } from './fake.ts'

networkConformance('fake', async () => {
  const disk = createFakeNetworkDisk()
  return { driver: () => createFakeNetworkDriver({ disk }), end: async () => {} }
})

it('a scripted fault after the deed leaves the deed done', async () => {
  const disk = createFakeNetworkDisk()
  let armed = true
  const driver = createFakeNetworkDriver({
    disk,
    faults: (when, step) => {
      if (armed && when === 'after' && step === 'ensurePort') throw new Error('crash')
    },
  })
  const network = labId(1, 1)
  const port = labId(2, 1)
  const view = { networks: { [network]: tenantNetwork(1, '10.0.0') }, ports: { [port]: guestPort(network, 1, '10.0.0.5', 'subnet-1') }, routers: {} }
  await driver.ensureNetwork(network, view)
  await assert.rejects(driver.ensurePort(port, view), /crash/)
  assert.deepEqual((await driver.list()).ports, [port])
  armed = false
  await driver.ensurePort(port, view)
})
