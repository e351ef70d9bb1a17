import { hypervisorConformance } from './conformance.ts'
import { createFakeHypervisorDriver, type FakeHypervisor, type FakeHypervisorDisk } from './fake.ts'

hypervisorConformance('fake', async () => {
  const disk: FakeHypervisorDisk = new Map()
  const written = new Map<string, Uint8Array>()
  let current: FakeHypervisor
  let paths = 0
  const image = { id: 'i', owner_id: 'p', size_bytes: 1, sha512: '', disk_format: 'qcow2', properties: {} }
  return {
    driver: () => {
      current = createFakeHypervisorDriver({ disk, writeFile: async (path, bytes) => void written.set(path, bytes) })
      return current
    },
    image: { backing: { type: 'file', path: '/image', format: 'qcow2', size_bytes: 1024 ** 3 }, disk: { id: 'root', serial: 'root', boot: true, source: { type: 'image', image, size_gib: 1 } } },
    volume: async (id) => ({ type: 'file', path: `/volumes/${id}`, format: 'raw', size_bytes: 1024 ** 3 }),
    booted: async () => {},
    guestShutdown: async (id) => current.guestShutdown(id),
    kill: async (id) => current.crash(id),
    snapshotPath: () => `/snapshot-${paths++}`,
    isQcow2: async (path) => Buffer.from(written.get(path)?.subarray(0, 4) ?? []).toString('latin1') === 'QFI\xfb',
    end: async () => {},
  }
})
