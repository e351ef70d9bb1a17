/** QEMU processes: started to outlive the agent, found again by pid file and command line, ended for certain. */
import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../../../../schema/values/fault.ts'
import type { spawnDetached } from '../../../host/exec.ts'
import { sleep, type Timers } from '../../../timers.ts'

const read = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

export const bootId = (): string => (read('/proc/sys/kernel/random/boot_id') ?? '').trim()

/** The machine's process, or null. A pid that went to another program does not count, nor does a dead one that nobody has reaped. */
export function findProcess(folder: string, id: string): number | null {
  const pid = Number.parseInt(read(join(folder, 'qemu.pid')) ?? '', 10)
  if (!(pid > 1)) return null
  const command = read(`/proc/${pid}/cmdline`)
  if (!command?.includes(`guest=${id},`)) return null
  const state = /\) (\S)/.exec(read(`/proc/${pid}/stat`) ?? '')?.[1]
  return state === 'Z' || state === 'X' ? null : pid
}

/** CPU time in nanoseconds and time of start in seconds since boot; zeros where the process is gone. */
export function processTimes(pid: number): { cpu_time_ns: number; age_s: number } {
  const fields = (read(`/proc/${pid}/stat`) ?? '').split(') ')[1]?.split(' ') ?? []
  const uptime_s = Number((read('/proc/uptime') ?? '0').split(' ')[0])
  const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
  return { cpu_time_ns: ticks * 10_000_000, age_s: Math.max(0, Math.floor(uptime_s - Number(fields[19] ?? 0) / 100)) }
}

export async function startProcess(argv: string[], folder: string, spawn: typeof spawnDetached): Promise<number> {
  const log = await open(join(folder, 'qemu.log'), 'a', 0o600)
  try {
    return spawn(argv, { stdout_fd: log.fd, cwd: folder })
  } finally {
    await log.close()
  }
}

/** The last words of a QEMU that did not stay. */
export const lastWords = (folder: string): string => (read(join(folder, 'qemu.log')) ?? '').trim().split('\n').slice(-3).join(' | ').slice(-500)

/** SIGTERM lets QEMU flush and end; what is still there then is killed. */
export async function endProcess(folder: string, id: string, timers: Timers, patience_ms = 3_000): Promise<void> {
  const pid = findProcess(folder, id)
  if (pid === null) return
  const kill = (signal: NodeJS.Signals) => {
    try {
      process.kill(pid, signal)
    } catch {
      // Gone meanwhile.
    }
  }
  kill('SIGTERM')
  for (let waited = 0; waited < patience_ms; waited += 20) {
    if (findProcess(folder, id) === null) return
    await sleep(timers, 20)
  }
  kill('SIGKILL')
  for (let waited = 0; waited < 10_000; waited += 20) {
    if (findProcess(folder, id) === null) return
    await sleep(timers, 20)
  }
  throw new Fault('unavailable', `QEMU of ${id} (process ${pid}) cannot be ended`)
}
