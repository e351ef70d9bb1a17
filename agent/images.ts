/**
 * The host's image cache. An image is fetched once, however many ask for it at a time, and is used only after its SHA-512 was right and its own format
 * was checked: a file that points at other files (a backing file, an external data file) never becomes somebody's disk.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { ImageRef } from '../schema/agent/desired.ts'
import { Fault } from '../schema/values/fault.ts'
import type { Clock } from '../schema/values/time.ts'
import type { Images } from './apply.ts'
import type { Exec } from './host/exec.ts'
import type { HostFiles } from './host/files.ts'
import type { Log } from './log.ts'
import type { PlaneHttp } from './plane.ts'

export interface ImageTool {
  /** Throws a Fault where the file is not what it says, or refers to other files. */
  check(path: string, format: string): Promise<void>
  /** Makes a qcow2 of another format. */
  convert(path: string, format: string, target: string): Promise<void>
}

/** qemu-img's names for Glance's formats. `iso`, `ari`...: bytes as they are. */
const QEMU_FORMATS: Record<string, string> = { raw: 'raw', iso: 'raw', qcow2: 'qcow2', vmdk: 'vmdk', vdi: 'vdi', vhd: 'vpc', vhdx: 'vhdx', ploop: 'parallels' }
const TOOL_TIMEOUT_MS = 900_000

export function qemuImageTool(exec: Exec): ImageTool {
  return {
    async check(path, format) {
      if (format === 'raw') return
      const { stdout } = await exec(['qemu-img', 'info', '-f', format, '--output', 'json', path], { timeout_ms: TOOL_TIMEOUT_MS })
      const info = JSON.parse(stdout) as { format?: string; 'backing-filename'?: string; 'format-specific'?: { data?: { 'data-file'?: string; extents?: { filename?: string }[] } } }
      const specific = info['format-specific']?.data
      if (info.format !== format) throw new Fault('unsupported_media', `the image says ${format} and is ${info.format}`)
      if (info['backing-filename'] !== undefined) throw new Fault('unsupported_media', 'the image needs a backing file')
      if (specific?.['data-file'] !== undefined) throw new Fault('unsupported_media', 'the image keeps its data in another file')
      if (specific?.extents?.some((extent) => extent.filename !== undefined && extent.filename !== path)) throw new Fault('unsupported_media', 'the image has extents in other files')
    },
    async convert(path, format, target) {
      await exec(['qemu-img', 'convert', '-f', format, '-O', 'qcow2', path, target], { timeout_ms: TOOL_TIMEOUT_MS })
    },
  }
}

export interface ImageCacheDeps {
  folder: string
  files: HostFiles
  http: PlaneHttp
  tool: ImageTool
  clock: Clock
  log: Log
  /** Beyond it the least recently used go, if no machine stands on them. */
  limit_bytes: number
  /** First 64 digits of the SHA-512 of images that disks stand on now. */
  inUse: () => Promise<ReadonlySet<string>>
}

export class ImageCache implements Images {
  private deps: ImageCacheDeps
  private fetching = new Map<string, Promise<{ path: string; format: 'raw' | 'qcow2' }>>()

  constructor(deps: ImageCacheDeps) {
    this.deps = deps
  }

  ensure(image: ImageRef): Promise<{ path: string; format: 'raw' | 'qcow2' }> {
    const format = QEMU_FORMATS[image.disk_format]
    if (!format) return Promise.reject(new Fault('unsupported_media', `no disk can be made of the format ${image.disk_format}`))
    if (!/^[0-9a-f]{128}$/.test(image.sha512)) return Promise.reject(new Fault('unprocessable', `image ${image.id} has no SHA-512`))
    const kept = format === 'raw' ? 'raw' : 'qcow2'
    // Named by content: an id whose bytes changed is another file, and nobody's disk changes under it.
    const name = `${image.sha512.slice(0, 64)}.${format}.${kept}`
    const running = this.fetching.get(name)
    if (running) return running
    const result = this.obtain(image, name, format, kept).finally(() => this.fetching.delete(name))
    this.fetching.set(name, result)
    return result
  }

  private async obtain(image: ImageRef, name: string, format: string, kept: 'raw' | 'qcow2') {
    const { files, folder, clock, tool, log } = this.deps
    const path = join(folder, name)
    if ((await files.size(path)) === null) {
      await files.makeFolder(folder)
      const began = clock.now_ms()
      const temporary = join(folder, `${name}.part`)
      try {
        await this.download(image, temporary)
        await tool.check(temporary, format)
        if (format !== kept) {
          const converted = join(folder, `${name}.converted`)
          await tool.convert(temporary, format, converted)
          await files.rename(converted, temporary)
        }
        await files.rename(temporary, path)
      } catch (error) {
        await files.remove(temporary)
        throw error
      }
      log('image_fetched', { id: image.id, size_bytes: image.size_bytes, took_ms: clock.now_ms() - began })
      await this.evict(name)
    }
    await files.touch(path, clock.now_ms())
    return { path, format: kept }
  }

  private async download(image: ImageRef, temporary: string): Promise<void> {
    const { http, files } = this.deps
    const { body } = await http.get(`/agents/v1/images/${encodeURIComponent(image.id)}/file?owner=${encodeURIComponent(image.owner_id)}`)
    const hash = createHash('sha512')
    let total = 0
    const counted = (async function* () {
      for await (const chunk of body) {
        total += chunk.byteLength
        if (total > image.size_bytes) throw new Fault('bad_gateway', `image ${image.id} is longer than its ${image.size_bytes} bytes`)
        hash.update(chunk)
        yield chunk
      }
    })()
    await files.write(temporary, counted)
    if (total !== image.size_bytes) throw new Fault('bad_gateway', `image ${image.id} ended after ${total} of ${image.size_bytes} bytes`)
    const digest = hash.digest('hex')
    if (digest !== image.sha512) throw new Fault('bad_gateway', `image ${image.id} arrived with the SHA-512 ${digest.slice(0, 16)}..., not ${image.sha512.slice(0, 16)}...`)
  }

  private async evict(keep: string): Promise<void> {
    const { files, folder, limit_bytes, log } = this.deps
    const entries = (await files.list(folder)).filter((entry) => /\.(raw|qcow2)$/.test(entry.name)).sort((a, b) => a.used_ms - b.used_ms)
    let total = entries.reduce((sum, entry) => sum + entry.size_bytes, 0)
    if (total <= limit_bytes) return
    const used = await this.deps.inUse()
    for (const entry of entries) {
      if (total <= limit_bytes) return
      if (entry.name === keep || used.has(entry.name.slice(0, 64)) || this.fetching.has(entry.name)) continue
      await files.remove(join(folder, entry.name))
      total -= entry.size_bytes
      log('image_evicted', { name: entry.name, size_bytes: entry.size_bytes })
    }
  }
}
