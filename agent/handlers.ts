/** What each command does. Bulk bytes go by the plane's transfer paths, hashed on the way. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Fault } from '../schema/values/fault.ts'
import type { Drivers } from './apply.ts'
import type { Handlers } from './commands.ts'
import type { HostFiles } from './host/files.ts'
import type { Lanes } from './lanes.ts'
import type { PlaneHttp } from './plane.ts'
import type { ObjectServices } from './object-services/index.ts'
import { keyOf } from './state.ts'

const CONSOLE_BYTES_MAX = 1024 * 1024

export interface HandlerDeps {
  drivers: Drivers
  files: HostFiles
  http: PlaneHttp
  lanes: Lanes
  /** Where files that are on their way are kept; emptied at start. */
  scratch: string
  /** raw -> another disk format. */
  convert(from: string, format: string, to: string): Promise<void>
  /** Of hosts with object disks. */
  objects?: ObjectServices
  /** The machine may have changed by a command: look again. */
  changed(serverId: string): void
}

async function upload(deps: HandlerDeps, path: string, transferPath: string) {
  const md5 = createHash('md5')
  const sha512 = createHash('sha512')
  const { size_bytes, body } = await deps.files.read(path)
  const hashed = (async function* () {
    for await (const chunk of body) {
      md5.update(chunk)
      sha512.update(chunk)
      yield chunk
    }
  })()
  await deps.http.put(transferPath, hashed, size_bytes)
  return { size_bytes, sha512: sha512.digest('hex'), md5: md5.digest('hex') }
}

export function createHandlers(deps: HandlerDeps): Handlers {
  let next = 0
  const hypervisor = () => {
    if (!deps.drivers.hypervisor) throw new Fault('not_implemented', 'this host runs no servers')
    return deps.drivers.hypervisor
  }
  const volume = () => {
    if (!deps.drivers.volume) throw new Fault('not_implemented', 'this host has no volumes')
    return deps.drivers.volume
  }
  const directory = () => {
    if (!deps.drivers.directory) throw new Fault('unavailable', 'this host asks no directory')
    return deps.drivers.directory
  }
  const objects = () => {
    if (!deps.objects) throw new Fault('not_implemented', 'this host has no object disks')
    return deps.objects
  }
  /** A scratch file for the time of `work`. */
  const withScratch = async <T>(work: (path: string) => Promise<T>): Promise<T> => {
    await deps.files.makeFolder(deps.scratch)
    const path = join(deps.scratch, `transfer-${next++}`)
    try {
      return await work(path)
    } finally {
      await deps.files.remove(path)
    }
  }
  return {
    echo: async ({ nonce }) => ({ nonce }),
    'directory.search': (search) => directory().search(search),
    'directory.bind': (bind) => directory().bind(bind),
    'object.run': ({ services, device }) => objects().run(services, device),
    'object.recon': () => objects().recon(),
    'server.reboot': async ({ server_id, hard }) => {
      await deps.lanes.run(keyOf('server', server_id), () => hypervisor().reboot(server_id, hard))
      deps.changed(server_id)
      return {}
    },
    'server.console_log': async ({ server_id, length }) => {
      const output = await hypervisor().consoleLog(server_id, length)
      return { output: output.length > CONSOLE_BYTES_MAX ? output.slice(-CONSOLE_BYTES_MAX) : output }
    },
    'server.snapshot': async ({ server_id, transfer_path }) =>
      withScratch(async (path) => {
        await hypervisor().snapshotRoot(server_id, path)
        return upload(deps, path, transfer_path)
      }),
    'server.diagnostics': async ({ server_id }) => hypervisor().diagnostics(server_id),
    'server.set_password': async ({ server_id, user, password }) => {
      await hypervisor().setPassword(server_id, user, password)
      return {}
    },
    'volume.upload': async ({ volume_id, snapshot_id, disk_format, transfer_path }) => {
      const source = await volume().path(snapshot_id ?? volume_id)
      if (disk_format === 'raw') return upload(deps, source.path, transfer_path)
      return withScratch(async (path) => {
        await deps.convert(source.path, disk_format, path)
        return upload(deps, path, transfer_path)
      })
    },
    'volume.restore': async ({ volume_id, transfer_path }) => {
      const target = await volume().path(volume_id)
      const { body } = await deps.http.get(transfer_path)
      const size_bytes = await deps.lanes.run(keyOf('volume', volume_id), () => deps.files.overwrite(target.path, body))
      return { size_bytes }
    },
  }
}
