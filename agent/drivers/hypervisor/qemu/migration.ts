/**
 * A machine's memory to a file and back. QEMU may start no helper (sandbox) and this version writes to no file by itself, so it speaks to a
 * socket of ours, and we carry the bytes.
 */
import { closeSync, createReadStream, createWriteStream, openSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Fault } from '../../../../schema/values/fault.ts'
import type { HostFiles } from '../../../host/files.ts'
import { sleep, type Timers } from '../../../timers.ts'
import { connectIn, type Qmp } from './qmp.ts'

const SOCKET = 'memory.sock'
const MIGRATION_TIMEOUT_MS = 600_000
export const memoryPath = (folder: string): string => join(folder, 'memory.state')

async function migrated(qmp: Qmp, timers: Timers): Promise<void> {
  for (let waited = 0; waited < MIGRATION_TIMEOUT_MS; waited += 50) {
    const { status, 'error-desc': error } = await qmp.execute<{ status?: string; 'error-desc'?: string }>('query-migrate')
    if (status === 'completed') return
    if (status === 'failed' || status === 'cancelled') throw new Fault('internal', `the machine's memory could not be moved: ${error ?? status}`)
    await sleep(timers, 50)
  }
  throw new Fault('timeout', "the machine's memory took too long")
}

async function listenIn(folder: string, files: HostFiles): Promise<Server> {
  await files.remove(join(folder, SOCKET))
  const fd = openSync(folder, 'r')
  const server = createServer({ pauseOnConnect: true })
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(`/proc/self/fd/${fd}/${SOCKET}`, () => resolve())
    })
  } finally {
    closeSync(fd)
  }
  return server
}

/** Stops the machine and writes its memory; the process may be ended afterwards. */
export async function saveMemory(qmp: Qmp, folder: string, files: HostFiles, timers: Timers): Promise<void> {
  const server = await listenIn(folder, files)
  const part = `${memoryPath(folder)}.part`
  try {
    await qmp.execute('stop')
    await qmp.execute('migrate-set-parameters', { 'max-bandwidth': 2 ** 40 })
    const written = new Promise<void>((resolve, reject) => {
      server.once('connection', (socket) => {
        pipeline(socket, createWriteStream(part, { mode: 0o600, flush: true })).then(resolve, reject)
        socket.resume()
      })
    })
    written.catch(() => {})
    await qmp.execute('migrate', { uri: `unix:${SOCKET}` })
    await migrated(qmp, timers)
    await written
    await files.rename(part, memoryPath(folder))
  } catch (error) {
    await qmp.execute('migrate_cancel').catch(() => {})
    await files.remove(part)
    throw error
  } finally {
    server.close()
    await files.remove(join(folder, SOCKET))
  }
}

/** Into a process started with `-incoming defer`. */
export async function loadMemory(qmp: Qmp, folder: string, files: HostFiles, timers: Timers): Promise<void> {
  await files.remove(join(folder, SOCKET))
  await qmp.execute('migrate-incoming', { uri: `unix:${SOCKET}` })
  const socket = await connectIn(folder, SOCKET)
  await pipeline(createReadStream(memoryPath(folder)), socket)
  await migrated(qmp, timers)
  await files.remove(join(folder, SOCKET))
}
