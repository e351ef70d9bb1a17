/**
 * What the driver has to remember of a network or router: a removal comes without the view, and names keep only part of an id. One small
 * JSON file each, written before the thing is made and removed after it is gone, so nothing made is ever forgotten.
 */
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface NetworkRecord {
  id: string
  /** Metadata register of the network's flows. */
  tag: string
  dhcp_mac: string | null
  uplink: null | { type: 'vxlan'; device: string } | { type: 'patch'; name: string; peer: string; bridge: string }
  /** External: addresses of the provider bridge's own port on the host, and what leaves by the host's uplink. */
  host_addresses: string[]
  masquerade: string[]
  tunnel: null | { segment: number; peers: string[] }
}

export interface RouterRecord {
  id: string
}

export interface Records<T extends { id: string }> {
  all(): Promise<T[]>
  get(id: string): Promise<T | null>
  put(record: T): Promise<void>
  remove(id: string): Promise<void>
}

export function createRecords<T extends { id: string }>(directory: string): Records<T> {
  const path = (id: string): string => join(directory, `${id}.json`)
  const read = async (file: string): Promise<T | null> => {
    try {
      return JSON.parse(await readFile(file, 'utf8')) as T
    } catch {
      return null
    }
  }
  return {
    async all() {
      const files = await readdir(directory).catch(() => [])
      const records = await Promise.all(files.filter((name) => name.endsWith('.json')).map((name) => read(join(directory, name))))
      return records.filter((record): record is Awaited<T> & T => record !== null)
    },
    get: (id) => read(path(id)),
    async put(record) {
      const text = JSON.stringify(record)
      if ((await readFile(path(record.id), 'utf8').catch(() => null)) === text) return
      await mkdir(directory, { recursive: true })
      await writeFile(`${path(record.id)}.new`, text)
      await rename(`${path(record.id)}.new`, path(record.id))
    },
    remove: (id) => rm(path(id), { force: true }),
  }
}
