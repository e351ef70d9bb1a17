/**
 * Every command line of the file driver, and the reading of tgtadm's answers; pure. tgtadm takes a CHAP secret only as an
 * argument, so it is visible in this host's process list for the milliseconds of that one call; hosts have no tenant logins.
 */
import type { ExportSpec } from '../../../../schema/agent/desired.ts'

/** Control sockets are named by a relative path (tgt adds .N), so that the length of the state folder does not matter; run with cwd there. */
export const TGT_SOCKET = 'tgt'
/** The N: the folder is this host's own, so any will do (tgtd takes up to 32767, less than a port). */
export const TGT_CONTROL = 1
export const TGT_ENV: Record<string, string> = { TGT_IPC_SOCKET: TGT_SOCKET }

export const copyArgv = (from: string, to: string): string[] => ['cp', '--reflink=auto', '--sparse=always', '--', from, to]
export const reflinkProbeArgv = (from: string, to: string): string[] => ['cp', '--reflink=always', '--', from, to]
/** Both formats are always said: left out, qemu-img would believe the image's own header. */
export const convertArgv = (format: string, from: string, to: string): string[] => ['qemu-img', 'convert', '-q', '-f', format, '-O', 'raw', '-S', '4k', '--', from, to]
export const imageInfoArgv = (format: string, path: string): string[] => ['qemu-img', 'info', '-f', format, '--output=json', '--', path]

const portal = (ip: string, port: number): string => `${ip.includes(':') ? `[${ip}]` : ip}:${port}`
export const tgtdArgv = (ip: string, port: number): string[] => ['tgtd', '-f', '-C', String(TGT_CONTROL), '--iscsi', `portal=${portal(ip, port)}`]

const tgtadm = (mode: string, op: string, ...rest: string[]): string[] => ['tgtadm', '-C', String(TGT_CONTROL), '--lld', 'iscsi', '--mode', mode, '--op', op, ...rest]

export const systemShowArgv = (): string[] => tgtadm('system', 'show')
export const systemStopArgv = (): string[] => tgtadm('system', 'delete')
export const portalsShowArgv = (): string[] => tgtadm('portal', 'show')
export const targetsShowArgv = (): string[] => tgtadm('target', 'show')
export const targetNewArgv = (tid: number, iqn: string): string[] => tgtadm('target', 'new', '--tid', String(tid), '--targetname', iqn)
export const targetDeleteArgv = (tid: number): string[] => tgtadm('target', 'delete', '--force', '--tid', String(tid))
export const lunNewArgv = (tid: number, lun: number, path: string): string[] =>
  tgtadm('logicalunit', 'new', '--tid', String(tid), '--lun', String(lun), '--bstype', 'rdwr', '--backing-store', path)
export const lunDeleteArgv = (tid: number, lun: number): string[] => tgtadm('logicalunit', 'delete', '--tid', String(tid), '--lun', String(lun))
/** The SCSI serial is the volume's id (36 characters are what tgt keeps). */
export const lunNameArgv = (tid: number, lun: number, volumeId: string): string[] =>
  tgtadm('logicalunit', 'update', '--tid', String(tid), '--lun', String(lun), '--params', `vendor_id=SKYHOOK,product_id=VOLUME,scsi_sn=${volumeId.slice(0, 36)}`)
export const accountsShowArgv = (): string[] => tgtadm('account', 'show')
export const accountNewArgv = (spec: Pick<ExportSpec, 'chap_user' | 'chap_secret'>): string[] =>
  tgtadm('account', 'new', '--user', spec.chap_user, '--password', spec.chap_secret)
export const accountDeleteArgv = (user: string): string[] => tgtadm('account', 'delete', '--user', user)
export const accountBindArgv = (tid: number, user: string): string[] => tgtadm('account', 'bind', '--tid', String(tid), '--user', user)
export const aclBindArgv = (tid: number): string[] => tgtadm('target', 'bind', '--tid', String(tid), '--initiator-address', 'ALL')
export const aclUnbindArgv = (tid: number): string[] => tgtadm('target', 'unbind', '--tid', String(tid), '--initiator-address', 'ALL')

export interface Target {
  tid: number
  iqn: string
  luns: { lun: number; path: string; size_mb: number }[]
  accounts: string[]
  acl: string[]
  /** Initiators logged in now. */
  sessions: number
}

/** Reads `tgtadm --mode target --op show`: an indented outline, sections by their titles. */
export function parseTargets(output: string): Target[] {
  const targets: Target[] = []
  let section = ''
  for (const line of output.split('\n')) {
    const head = /^Target (\d+): (\S+)/.exec(line)
    if (head !== null) {
      targets.push({ tid: Number(head[1]), iqn: head[2] ?? '', luns: [], accounts: [], acl: [], sessions: 0 })
      section = ''
      continue
    }
    const target = targets.at(-1)
    if (target === undefined) continue
    const title = /^ {4}(\S.*):\s*$/.exec(line)
    if (title !== null) section = title[1] ?? ''
    else readLine(target, section, line.trim())
  }
  return targets
}

function readLine(target: Target, section: string, text: string): void {
  if (text === '') return
  if (section === 'Account information') target.accounts.push(text)
  else if (section === 'ACL information') target.acl.push(text)
  else if (section === 'I_T nexus information') {
    if (/^I_T nexus: \d+/.test(text)) target.sessions++
  } else if (section === 'LUN information') {
    const lun = /^LUN: (\d+)/.exec(text)
    if (lun !== null) target.luns.push({ lun: Number(lun[1]), path: '', size_mb: 0 })
    const last = target.luns.at(-1)
    if (last === undefined) return
    const size = /^Size: (\d+) MB/.exec(text)
    if (size !== null) last.size_mb = Number(size[1])
    const path = /^Backing store path: (.+)$/.exec(text)
    if (path !== null) last.path = path[1] ?? ''
  }
}

/** Does `tgtadm --mode portal --op show` say that tgtd listens there and nowhere else? */
export const listensOnlyAt = (output: string, ip: string, port: number): boolean => {
  const lines = output.split('\n').filter((line) => line.startsWith('Portal:'))
  return lines.length === 1 && lines[0]?.startsWith(`Portal: ${portal(ip, port)},`) === true
}

/** Reads `tgtadm --mode account --op show`. */
export const parseAccounts = (output: string): string[] =>
  output
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => line !== '')

/** The smallest target number not taken; tgt wants them from 1. */
export function freeTid(targets: readonly Target[]): number {
  const taken = new Set(targets.map((target) => target.tid))
  let tid = 1
  while (taken.has(tid)) tid++
  return tid
}
