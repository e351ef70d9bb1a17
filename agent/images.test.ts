import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { type MemoryDisk, memoryFiles } from './host/files.ts'
import { ImageCache, type ImageCacheDeps, qemuImageTool } from './images.ts'
import { silentLog } from './log.ts'

const imageOf = (id: string, bytes: Uint8Array, disk_format = 'raw') => ({ id, owner_id: 'p', size_bytes: bytes.byteLength, sha512: createHash('sha512').update(bytes).digest('hex'), disk_format, properties: {} })

function lab(change: Partial<ImageCacheDeps> = {}) {
  const disk: MemoryDisk = new Map()
  const store = new Map<string, Uint8Array>()
  const asked: string[] = []
  let now = 0
  const cache = new ImageCache({
    folder: '/images', files: memoryFiles(disk), clock: { now_ms: () => ++now }, log: silentLog, limit_bytes: 250, inUse: async () => new Set(), tool: { check: async () => {}, convert: async (from, _format, to) => void disk.set(to, { bytes: new Uint8Array([1, ...(disk.get(from)?.bytes ?? [])]), used_ms: 0 }) },
    http: {
      get: async (path) => {
        asked.push(path)
        await new Promise((resolve) => setImmediate(resolve))
        const bytes = store.get(path.split('/')[4] ?? '')
        if (!bytes) throw new Error('404')
        return { size_bytes: bytes.byteLength, body: (async function* () { yield bytes.subarray(0, 3); yield bytes.subarray(3) })() }
      },
      call: async () => null,
    put: async () => {},
    },
    ...change,
  })
  const add = (id: string, bytes: Uint8Array, format?: string) => {
    store.set(id, bytes)
    return imageOf(id, bytes, format)
  }
  return { cache, disk, store, asked, add }
}

const bytes = (size: number, value: number) => new Uint8Array(size).fill(value)

test('concurrent wishes share one download, and a later one needs none', async () => {
  const { cache, asked, add } = lab()
  const image = add('a', bytes(100, 1))
  const paths = await Promise.all([cache.ensure(image), cache.ensure(image), cache.ensure(image)])
  assert.equal(new Set(paths.map((one) => one.path)).size, 1)
  await cache.ensure(image)
  assert.deepEqual(asked, ['/agents/v1/images/a/file?owner=p'])
})

test('what is not what was promised is not kept: other bytes, too many, too few', async () => {
  for (const wrong of [bytes(100, 2), bytes(101, 1), bytes(99, 1)]) {
    const { cache, disk, store, add } = lab()
    const image = add('a', bytes(100, 1))
    store.set('a', wrong)
    await assert.rejects(cache.ensure(image))
    assert.equal(disk.size, 0)
    store.set('a', bytes(100, 1))
    await cache.ensure(image)
    assert.equal(disk.size, 1)
  }
})

test('the least recently used go beyond the limit, but none that a disk stands on', async () => {
  let used = new Set<string>()
  const { cache, disk, asked, add } = lab({ inUse: async () => used })
  const [a, b, c, d] = [add('a', bytes(100, 1)), add('b', bytes(100, 2)), add('c', bytes(100, 3)), add('d', bytes(100, 4))]
  await cache.ensure(a)
  await cache.ensure(b)
  await cache.ensure(a)
  await cache.ensure(c)
  assert.equal(disk.size, 2)
  asked.length = 0
  await cache.ensure(a)
  assert.deepEqual(asked, [])
  used = new Set([a, c].map((image) => image.sha512.slice(0, 64)))
  await cache.ensure(d)
  assert.equal(disk.size, 3)
})

test('formats that no disk can stand on are converted, unknown ones refused', async () => {
  const { cache, add } = lab()
  const { format, path } = await cache.ensure(add('v', bytes(50, 1), 'vmdk'))
  assert.equal(format, 'qcow2')
  assert.match(path, /\.vmdk\.qcow2$/)
  await assert.rejects(cache.ensure(add('x', bytes(50, 1), 'docker')), /no disk can be made/)
})

test('an image that leads to other files is refused, and every format is said', async () => {
  const argvs: string[][] = []
  const tool = (info: unknown) => qemuImageTool(async (argv) => {
    argvs.push([...argv])
    return { stdout: JSON.stringify(info), stderr: '' }
  })
  await tool({ format: 'qcow2' }).check('/i', 'qcow2')
  await assert.rejects(tool({ format: 'qcow2', 'backing-filename': '/etc/shadow' }).check('/i', 'qcow2'), /backing file/)
  await assert.rejects(tool({ format: 'qcow2', 'format-specific': { data: { 'data-file': '/dev/sda' } } }).check('/i', 'qcow2'), /another file/)
  await assert.rejects(tool({ format: 'vmdk', 'format-specific': { data: { extents: [{ filename: '/i' }, { filename: '/etc/passwd' }] } } }).check('/i', 'vmdk'), /extents/)
  await assert.rejects(tool({ format: 'raw' }).check('/i', 'qcow2'), /is raw/)
  for (const argv of argvs) assert.ok(argv.includes('-f'), argv.join(' '))
})
