/** Copies of root disks to standalone qcow2 files: by a backup job where QEMU has the disk open, by qemu-img where it has not. */
import { Fault } from '../../../../schema/values/fault.ts'
import type { Exec } from '../../../host/exec.ts'
import { sleep, type Timers } from '../../../timers.ts'
import { formatNode } from './argv.ts'
import { virtualSize } from './disks.ts'
import { askGuest } from './guest-agent.ts'
import type { Qmp } from './qmp.ts'

const COPY_TIMEOUT_MS = 3_600_000
const JOB = 'copy-root'
const TARGET = 'copy-target'

export const copyOffline = async (source: string, target: string, exec: Exec): Promise<void> => {
  await exec(['qemu-img', 'convert', '-f', 'qcow2', '-O', 'qcow2', source, target], { timeout_ms: COPY_TIMEOUT_MS })
}

/** One point in time: the copy is of the moment the job began, with file systems frozen for that moment where the guest's agent can. */
export async function copyLive(qmp: Qmp, folder: string, slot: number, source: string, target: string, exec: Exec, timers: Timers): Promise<void> {
  await exec(['qemu-img', 'create', '-q', '-f', 'qcow2', target, String(await virtualSize(source, 'qcow2'))])
  await qmp.execute('blockdev-del', { 'node-name': TARGET }).catch(() => {})
  await qmp.execute('blockdev-add', { 'node-name': TARGET, driver: 'qcow2', discard: 'unmap', 'detect-zeroes': 'unmap', file: { driver: 'file', filename: target } })
  try {
    const ended = qmp.wait((event) => event.event === 'JOB_STATUS_CHANGE' && event.data.id === JOB && event.data.status === 'concluded', COPY_TIMEOUT_MS)
    const frozen = await askGuest<number>(folder, timers, 'guest-fsfreeze-freeze', {}, { sync_ms: 500, answer_ms: 5_000 }).catch(() => null)
    try {
      await qmp.execute('blockdev-backup', { 'job-id': JOB, device: formatNode(slot), target: TARGET, sync: 'full', 'auto-dismiss': false })
    } finally {
      if (frozen) await thaw(folder, timers)
    }
    if ((await ended) === null) throw new Fault('timeout', 'the copy of the root disk did not end')
    const job = (await qmp.execute<{ id: string; error?: string }[]>('query-jobs')).find((one) => one.id === JOB)
    await qmp.execute('job-dismiss', { id: JOB }).catch(() => {})
    if (job?.error) throw new Fault('internal', `the copy of the root disk failed: ${job.error}`)
  } finally {
    await qmp.execute('blockdev-del', { 'node-name': TARGET }).catch(() => {})
  }
}

/** A guest left frozen is a dead guest. */
async function thaw(folder: string, timers: Timers): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    if (await askGuest(folder, timers, 'guest-fsfreeze-thaw', {}, { sync_ms: 2_000, answer_ms: 10_000 }).catch(() => null)) return
    await sleep(timers, 500)
  }
}
