/**
 * Volumes as sparse raw files, for hosts without LVM: `dir/volumes/<id>`, `dir/snapshots/<id>`, and `dir/tmp` for what is being
 * born. Snapshots and clones are independent copies, which share blocks where the file system can (XFS, btrfs: reflink). On others
 * a copy takes time and is a point in time only while nobody writes: see capabilities().
 *
 * A volume is made under a fresh name in `tmp`, synced and renamed: a kill at any instruction leaves nothing or the whole.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, rm, stat, statfs, truncate, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExportSpec, SnapshotSpec, VolumeSpec } from '../../../../schema/agent/desired.ts'
import { Fault, isFault } from '../../../../schema/values/fault.ts'
import { createInspector, type Inspection, matches, qemuFormat } from '../../../../schema/values/image-format.ts'
import { type Exec, spawnDetached } from '../../../host/exec.ts'
import { checkExport, checkFits, checkId, checkSize, GIB, noSuchVolume } from '../checks.ts'
import type { VolumeCapabilities, VolumeDriver, VolumeState } from '../driver.ts'
import { Lanes } from '../../../lanes.ts'
import { convertArgv, copyArgv, imageInfoArgv, reflinkProbeArgv } from './args.ts'
import { diskFault, errnoOf, publish, removeDurably, syncPath } from './disk.ts'
import { Targets } from './targets.ts'

/** A full copy of a large volume on a slow disk. */
const COPY_TIMEOUT_MS = 4 * 3600_000
const INSPECT_CHUNK_BYTES = 1024 * 1024

export interface FileVolumeOptions {
  exec: Exec
  /** Holds volumes, snapshots and tmp; one file system. */
  dir: string
  /** Where tgtd listens. Never a public address. */
  portal_ip: string
  portal_port: number
  /** Export records, tgtd's log and control socket. */
  state_dir: string
  spawn?: typeof spawnDetached
  /** Names of unfinished files. */
  unique?: () => string
}

export interface FileVolumeDriver extends VolumeDriver {
  /** Ends this host's target daemon; exports come back with the next list or ensureExport. */
  stopTargets(): Promise<void>
}

export function createFileVolumeDriver(options: FileVolumeOptions): FileVolumeDriver {
  return new FileVolumes(options)
}

class FileVolumes implements FileVolumeDriver {
  readonly name = 'file'
  #options: FileVolumeOptions
  #lanes = new Lanes()
  #targets: Targets
  #ready: Promise<void> | null = null
  #reflink: Promise<boolean> | null = null

  constructor(options: FileVolumeOptions) {
    if (/[,\n]/.test(options.dir)) throw new Fault('bad_request', `the volume folder's name must have no comma: ${options.dir}`)
    this.#options = options
    const { exec, state_dir, portal_ip, portal_port } = options
    this.#targets = new Targets({ exec, state_dir, portal_ip, portal_port, spawn: options.spawn ?? spawnDetached, locate: (id) => this.#stat('volumes', id) })
  }

  async capabilities(): Promise<VolumeCapabilities> {
    this.#reflink ??= this.#probeReflink()
    return { instant_copies: await this.#reflink, online_extend_over_iscsi: false }
  }

  async list(): Promise<{ volumes: VolumeState[]; snapshots: VolumeState[]; exports: string[] }> {
    await this.#prepare()
    const read = async (kind: Kind): Promise<VolumeState[]> => {
      const states: VolumeState[] = []
      for (const id of (await readdir(join(this.#options.dir, kind))).sort()) {
        const found = await this.#stat(kind, id).catch(() => null)
        if (found !== null) states.push({ id, size_bytes: found.size_bytes })
      }
      return states
    }
    return { volumes: await read('volumes'), snapshots: await read('snapshots'), exports: await this.#targets.live() }
  }

  ensureVolume(id: string, spec: VolumeSpec, image: { path: string; format: string } | null): Promise<VolumeState> {
    const size = checkSize(spec)
    return this.#locked(id, async () => {
      const path = this.#place('volumes', id)
      const found = await this.#stat('volumes', id).catch(absentOnly)
      if (found === null) await this.#birth(path, (temporary) => this.#fill(temporary, spec, image, size))
      else if (found.size_bytes < size) {
        await truncate(path, size)
        await syncPath(path)
      }
      return { id, size_bytes: Math.max(found?.size_bytes ?? 0, size) }
    })
  }

  removeVolume(id: string): Promise<void> {
    return this.#locked(id, async () => {
      const exports = await this.#targets.exportsOf(id)
      if (exports.length > 0) throw new Fault('conflict', `volume ${id} is still exported (${exports.join(', ')})`)
      await removeDurably(this.#place('volumes', id))
    })
  }

  ensureSnapshot(id: string, spec: SnapshotSpec): Promise<VolumeState> {
    checkId(spec.volume_id)
    return this.#locked(id, async () => {
      const found = await this.#stat('snapshots', id).catch(absentOnly)
      if (found !== null) return { id, size_bytes: found.size_bytes }
      const source = await this.#stat('volumes', spec.volume_id)
      await this.#birth(this.#place('snapshots', id), (temporary) => this.#copy(source.path, temporary))
      return { id, size_bytes: (await this.#stat('snapshots', id)).size_bytes }
    })
  }

  removeSnapshot(id: string): Promise<void> {
    return this.#locked(id, () => removeDurably(this.#place('snapshots', id)))
  }

  async ensureExport(id: string, spec: ExportSpec): Promise<void> {
    checkId(id)
    checkId(spec.volume_id)
    checkExport(spec)
    await this.#prepare()
    // Under the volume's lock, so that it is not removed between the look and the record.
    await this.#lanes.run(spec.volume_id, () => this.#targets.ensure(id, spec))
  }

  async removeExport(id: string): Promise<void> {
    await this.#targets.remove(checkId(id))
  }

  async path(id: string): Promise<{ path: string; format: 'raw'; size_bytes: number }> {
    const found = await this.#stat('volumes', checkId(id)).catch(absentOnly)
    const { path, size_bytes } = found ?? (await this.#stat('snapshots', id))
    return { path, format: 'raw', size_bytes }
  }

  async pools(): Promise<{ name: string; total_gib: number; free_gib: number }[]> {
    await this.#prepare()
    const { bsize, blocks, bavail } = await statfs(this.#options.dir)
    return [{ name: 'file', total_gib: Math.floor((blocks * bsize) / GIB), free_gib: Math.floor((bavail * bsize) / GIB) }]
  }

  stopTargets(): Promise<void> {
    return this.#targets.stop()
  }

  #place(kind: Kind, id: string): string {
    return join(this.#options.dir, kind, checkId(id))
  }

  async #locked<T>(id: string, work: () => Promise<T>): Promise<T> {
    checkId(id)
    await this.#prepare()
    try {
      return await this.#lanes.run(id, work)
    } catch (error) {
      throw diskFault(error)
    }
  }

  /** Once per process: folders, and what an earlier process left unfinished. A copier that outlived it writes into an unlinked file. */
  #prepare(): Promise<void> {
    this.#ready ??= (async () => {
      const { dir } = this.#options
      for (const name of ['volumes', 'snapshots', 'tmp']) await mkdir(join(dir, name), { recursive: true, mode: 0o700 })
      for (const name of await readdir(join(dir, 'tmp'))) await rm(join(dir, 'tmp', name), { force: true })
    })().catch((error: unknown) => {
      this.#ready = null
      throw diskFault(error)
    })
    return this.#ready
  }

  async #stat(kind: Kind, id: string): Promise<{ path: string; size_bytes: number }> {
    const path = this.#place(kind, id)
    try {
      return { path, size_bytes: (await stat(path)).size }
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') throw noSuchVolume(id)
      throw diskFault(error)
    }
  }

  async #birth(path: string, fill: (temporary: string) => Promise<void>): Promise<void> {
    const temporary = join(this.#options.dir, 'tmp', this.#unique())
    try {
      await fill(temporary)
      await publish(temporary, path)
    } catch (error) {
      await unlink(temporary).catch(() => {})
      throw error
    }
  }

  #unique(): string {
    return (this.#options.unique ?? randomUUID)()
  }

  async #fill(temporary: string, spec: VolumeSpec, image: { path: string; format: string } | null, size: number): Promise<void> {
    const { source } = spec
    if (source === null) await (await open(temporary, 'wx', 0o600)).close()
    else if (source.type === 'image') {
      if (image === null) throw new Fault('bad_request', 'a volume from an image needs the image')
      await this.#convert(image, temporary, size)
    } else {
      const from = await this.#stat(source.type === 'volume' ? 'volumes' : 'snapshots', source.id)
      checkFits(from.size_bytes, size)
      await this.#copy(from.path, temporary)
    }
    await truncate(temporary, size)
  }

  async #copy(from: string, to: string): Promise<void> {
    await this.#options.exec(copyArgv(from, to), { timeout_ms: COPY_TIMEOUT_MS })
  }

  async #convert(image: { path: string; format: string }, to: string, size: number): Promise<void> {
    const format = qemuFormat(image.format)
    if (format === null) throw new Fault('bad_request', `a volume cannot be made from a ${image.format} image`)
    const found = await inspectFile(image.path)
    if (found.problem !== null) throw new Fault('bad_request', `the image is refused: ${found.problem}`)
    if (!matches(image.format, found.format)) throw new Fault('bad_request', `the image claims to be ${image.format} and is ${found.format}`)
    const { stdout } = await this.#options.exec(imageInfoArgv(format, image.path))
    checkFits(Number((JSON.parse(stdout) as { 'virtual-size': number })['virtual-size']), size)
    if (format === 'raw') await this.#copy(image.path, to)
    else await this.#options.exec(convertArgv(format, image.path, to), { timeout_ms: COPY_TIMEOUT_MS })
  }

  async #probeReflink(): Promise<boolean> {
    await this.#prepare()
    const from = join(this.#options.dir, 'tmp', this.#unique())
    const to = join(this.#options.dir, 'tmp', this.#unique())
    try {
      const handle = await open(from, 'wx', 0o600)
      await handle.writeFile('probe').finally(() => handle.close())
      await this.#options.exec(reflinkProbeArgv(from, to))
      return true
    } catch {
      return false
    } finally {
      for (const path of [from, to]) await rm(path, { force: true })
    }
  }
}

type Kind = 'volumes' | 'snapshots'

function absentOnly(error: unknown): null {
  if (isFault(error, 'not_found')) return null
  throw error
}

/** The same look as at upload, at the bytes that are about to be opened. */
async function inspectFile(path: string): Promise<Inspection> {
  const handle = await open(path, 'r')
  try {
    const inspector = createInspector()
    const buffer = Buffer.alloc(INSPECT_CHUNK_BYTES)
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length)
      if (bytesRead === 0) return inspector.finish()
      inspector.push(buffer.subarray(0, bytesRead))
    }
  } finally {
    await handle.close()
  }
}
