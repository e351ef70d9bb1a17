/**
 * iSCSI targets of the file driver: this host's own tgtd, which outlives the agent. One target per export. tgtd keeps nothing on
 * disk, so each export is written to `state_dir/exports` first, and all of them are made again whenever tgtd was found dead.
 *
 * A target without an account lets anybody in, and one without an ACL nobody: so the ACL is bound last, and taken away before the
 * account is touched. A crash in between leaves a closed door, and the next call finishes.
 */
import { closeSync, openSync } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExportSpec } from '../../../../schema/agent/desired.ts'
import { Fault } from '../../../../schema/values/fault.ts'
import { ExecError, type Exec, type spawnDetached } from '../../../host/exec.ts'
import { Lanes } from '../../../lanes.ts'
import * as args from './args.ts'
import { removeDurably, writeDurably } from './disk.ts'

const START_TIMEOUT_MS = 10_000
const START_POLL_MS = 50
const COMMAND_TIMEOUT_MS = 15_000
/** tgtadm's answer when nothing listens on the control socket. */
const NOT_RUNNING = /transport endpoint is not connected|connection refused|no such file|can't connect/i

export interface TargetsOptions {
  exec: Exec
  spawn: typeof spawnDetached
  state_dir: string
  portal_ip: string
  portal_port: number
  /** Where a volume's bytes are; Fault not_found where it is gone. */
  locate(volumeId: string): Promise<{ path: string; size_bytes: number }>
}

interface ExportRecord {
  id: string
  spec: ExportSpec
}

export class Targets {
  #options: TargetsOptions
  #lanes = new Lanes()
  #dir: string
  /** Secrets known to be in force in the running tgtd; it never tells them. Empty after a restart of either. */
  #applied = new Map<string, string>()

  constructor(options: TargetsOptions) {
    this.#options = options
    this.#dir = join(options.state_dir, 'exports')
  }

  ensure(id: string, spec: ExportSpec): Promise<void> {
    return this.#serial(async () => {
      const records = await this.#records()
      const rival = records.find((record) => record.id !== id && (record.spec.iqn === spec.iqn || (record.spec.chap_user === spec.chap_user && record.spec.chap_secret !== spec.chap_secret)))
      if (rival !== undefined) throw new Fault('conflict', `export ${rival.id} already uses ${rival.spec.iqn === spec.iqn ? 'this iqn' : 'this CHAP user'}`)
      const old = records.find((record) => record.id === id)
      if (old !== undefined && old.spec.iqn !== spec.iqn) await this.#remove(old)
      await this.#options.locate(spec.volume_id)
      await writeDurably(join(this.#dir, `${id}.json`), JSON.stringify({ id, spec } satisfies ExportRecord), 0o600)
      // A freshly started tgtd gets all of them, this one included.
      if (!(await this.#ensureRunning())) await this.#apply({ id, spec })
    })
  }

  remove(id: string): Promise<void> {
    return this.#serial(async () => {
      const record = (await this.#records()).find((one) => one.id === id)
      if (record !== undefined) await this.#remove(record)
    })
  }

  /** Exports an initiator could log in to now. Starts a dead tgtd again where there is something to export. */
  live(): Promise<string[]> {
    return this.#serial(async () => {
      const records = await this.#records()
      if (records.length === 0) return []
      try {
        await this.#ensureRunning()
        const targets = await this.#targets()
        return records.filter(({ spec }) => targets.some((target) => isServed(target, spec))).map(({ id }) => id)
      } catch {
        return []
      }
    })
  }

  async exportsOf(volumeId: string): Promise<string[]> {
    return (await this.#records()).filter(({ spec }) => spec.volume_id === volumeId).map(({ id }) => id)
  }

  /** Ends tgtd; the exports stay recorded. For tests and for taking a host out of service. */
  stop(): Promise<void> {
    return this.#serial(async () => {
      if (!(await this.#answers())) return
      for (const target of await this.#targets()) await this.#run(args.targetDeleteArgv(target.tid))
      await this.#run(args.systemStopArgv())
      this.#applied.clear()
    })
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    return this.#lanes.run('tgtd', async () => {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 })
      return work()
    })
  }

  async #records(): Promise<ExportRecord[]> {
    const names = await readdir(this.#dir).catch(() => [])
    const records: ExportRecord[] = []
    for (const name of names.filter((one) => one.endsWith('.json')).sort()) records.push(JSON.parse(await readFile(join(this.#dir, name), 'utf8')) as ExportRecord)
    return records
  }

  #run(argv: string[]): Promise<{ stdout: string }> {
    return this.#options.exec(argv, { cwd: this.#options.state_dir, env: args.TGT_ENV, timeout_ms: COMMAND_TIMEOUT_MS })
  }

  async #targets(): Promise<args.Target[]> {
    return args.parseTargets((await this.#run(args.targetsShowArgv())).stdout)
  }

  async #answers(): Promise<boolean> {
    try {
      await this.#run(args.systemShowArgv())
      return true
    } catch (error) {
      if (error instanceof ExecError && (error.code === 107 || NOT_RUNNING.test(error.stderr))) return false
      throw new Fault('unavailable', 'the iSCSI target daemon does not answer', { cause: error })
    }
  }

  /** True where tgtd had to be started, and all recorded exports were made in it. */
  async #ensureRunning(): Promise<boolean> {
    if (await this.#answers()) return false
    this.#applied.clear()
    await this.#start()
    for (const record of await this.#records()) {
      // One volume that is gone must not keep the others from being served.
      await this.#apply(record).catch((error: unknown) => {
        if (!(error instanceof Fault && error.kind === 'not_found')) throw error
      })
    }
    return true
  }

  async #start(): Promise<void> {
    const { state_dir, portal_ip, portal_port, spawn } = this.#options
    const log = join(state_dir, 'tgtd.log')
    const fd = openSync(log, 'w', 0o600)
    try {
      spawn(args.tgtdArgv(portal_ip, portal_port), { stdout_fd: fd, cwd: state_dir, env: args.TGT_ENV })
    } finally {
      closeSync(fd)
    }
    const failed = async (): Promise<Fault> => {
      const said = (await readFile(log, 'utf8').catch(() => '')).split('\n').find((line) => /unable|fail|error/i.test(line) && !line.includes('RDMA')) ?? ''
      return new Fault('unavailable', `the iSCSI target daemon did not start on ${portal_ip}:${portal_port}: ${said.slice(0, 300)}`)
    }
    for (let waited = 0; !(await this.#answers()); waited += START_POLL_MS) {
      if (waited >= START_TIMEOUT_MS) throw await failed()
      await sleep(START_POLL_MS)
    }
    // Where tgtd cannot have its port it listens on every address at 3260 instead: never leave it like that.
    const { stdout } = await this.#run(args.portalsShowArgv())
    if (args.listensOnlyAt(stdout, portal_ip, portal_port)) return
    await this.#run(args.systemStopArgv())
    throw await failed()
  }

  async #apply({ id, spec }: ExportRecord): Promise<void> {
    const { path, size_bytes } = await this.#options.locate(spec.volume_id)
    let targets = await this.#targets()
    let target = targets.find((one) => one.iqn === spec.iqn)
    if (target === undefined) {
      await this.#run(args.targetNewArgv(args.freeTid(targets), spec.iqn))
      targets = await this.#targets()
      target = targets.find((one) => one.iqn === spec.iqn)
      if (target === undefined) throw new Fault('unavailable', `the iSCSI target ${spec.iqn} did not come up`)
    }
    await this.#applyLun(target, spec, path, size_bytes)
    if (this.#applied.get(id) === secretOf(spec) && target.accounts.includes(spec.chap_user) && target.acl.length > 0) return
    if (target.acl.length > 0) await this.#run(args.aclUnbindArgv(target.tid))
    const accounts = args.parseAccounts((await this.#run(args.accountsShowArgv())).stdout)
    for (const user of new Set([...target.accounts, spec.chap_user])) if (accounts.includes(user)) await this.#run(args.accountDeleteArgv(user))
    await this.#run(args.accountNewArgv(spec))
    await this.#run(args.accountBindArgv(target.tid, spec.chap_user))
    await this.#run(args.aclBindArgv(target.tid))
    this.#applied.set(id, secretOf(spec))
  }

  /** tgt reads a file's size once; it is read anew by taking the LUN out, which only an export without initiators allows. */
  async #applyLun(target: args.Target, spec: ExportSpec, path: string, sizeBytes: number): Promise<void> {
    const wrong = target.luns.filter((lun) => lun.lun !== 0 && (lun.lun !== spec.lun || lun.path !== path || Math.abs(lun.size_mb - sizeBytes / 1e6) > 1))
    const stale = target.luns.find((lun) => lun.lun === spec.lun && lun.path === path)
    if (wrong.length === 0 && stale !== undefined) return
    if (target.sessions > 0 && stale !== undefined) return
    for (const lun of wrong) await this.#run(args.lunDeleteArgv(target.tid, lun.lun))
    if (stale !== undefined && !wrong.includes(stale)) return
    await this.#run(args.lunNewArgv(target.tid, spec.lun, path))
    await this.#run(args.lunNameArgv(target.tid, spec.lun, spec.volume_id))
  }

  async #remove({ id, spec }: ExportRecord): Promise<void> {
    if (await this.#answers()) {
      const target = (await this.#targets()).find((one) => one.iqn === spec.iqn)
      if (target !== undefined) await this.#run(args.targetDeleteArgv(target.tid))
      const shared = (await this.#records()).some((one) => one.id !== id && one.spec.chap_user === spec.chap_user)
      const accounts = args.parseAccounts((await this.#run(args.accountsShowArgv())).stdout)
      if (!shared && accounts.includes(spec.chap_user)) await this.#run(args.accountDeleteArgv(spec.chap_user))
    }
    this.#applied.delete(id)
    await removeDurably(join(this.#dir, `${id}.json`))
  }
}

const secretOf = (spec: ExportSpec): string => `${spec.chap_user}\n${spec.chap_secret}`

const isServed = (target: args.Target, spec: ExportSpec): boolean =>
  target.iqn === spec.iqn && target.luns.some((lun) => lun.lun === spec.lun) && target.accounts.includes(spec.chap_user) && target.acl.length > 0
