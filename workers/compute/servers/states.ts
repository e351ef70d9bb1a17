/**
 * The life of a server as tables: which action may start from which state and what task it begins; what a task settles into when the host reports it done,
 * fails, or runs out of time; and the one status that tenants see (nova/api/openstack/common.py). Pure.
 */
import type { ServerRow, TaskState, VmState } from '../../../schema/project/compute.ts'
import type { PowerState } from '../../../schema/agent/observed.ts'
import { Fault } from '../../../schema/values/fault.ts'

export type Power = ServerRow['power']

const MINUTE_MS = 60_000
/** A build is tried on this many hosts. */
export const BUILD_HOSTS_MAX = 3

export interface TaskRule {
  /** State when the host has it; 'back' is the state before. */
  settles: VmState | 'back' | 'by-power'
  /** What becomes of the server when the host says it cannot. */
  fails: 'back' | 'error' | 'elsewhere'
  deadline_ms: number
  /** What becomes of it when nothing is heard in time. */
  expires: 'back' | 'error' | 'gone'
  /** True where a command or another step ends the task, not a report about the desired state. */
  byStep?: true
}

const quick = (settles: TaskRule['settles']): TaskRule => ({ settles, fails: 'back', deadline_ms: 5 * MINUTE_MS, expires: 'back' })
const build: TaskRule = { settles: 'by-power', fails: 'elsewhere', deadline_ms: 30 * MINUTE_MS, expires: 'error' }
const image: TaskRule = { settles: 'back', fails: 'back', deadline_ms: 60 * MINUTE_MS, expires: 'back', byStep: true }
const big = (settles: TaskRule['settles']): TaskRule => ({ settles, fails: 'error', deadline_ms: 30 * MINUTE_MS, expires: 'error' })

export const TASKS: Record<TaskState, TaskRule> = {
  scheduling: { ...build, byStep: true }, block_device_mapping: { ...build, byStep: true }, spawning: build,
  rebooting: { ...quick('active'), byStep: true }, reboot_started: { ...quick('active'), byStep: true }, rebooting_hard: { ...quick('by-power'), fails: 'error' },
  pausing: quick('paused'), unpausing: quick('by-power'), suspending: quick('suspended'), resuming: quick('by-power'), 'powering-off': quick('stopped'), 'powering-on': quick('by-power'),
  rescuing: quick('rescued'), unrescuing: quick('by-power'),
  rebuilding: big('back'), rebuild_spawning: big('back'),
  resize_prep: { ...big('resized'), fails: 'back', byStep: true }, resize_migrating: big('resized'), resize_finish: big('resized'), resize_reverting: big('back'), resize_confirming: { ...quick('back'), byStep: true },
  image_snapshot: image, image_pending_upload: image, image_uploading: image, updating_password: { ...quick('back'), byStep: true },
  shelving: image, shelving_image_uploading: image, shelving_offloading: { settles: 'shelved_offloaded', fails: 'error', deadline_ms: 5 * MINUTE_MS, expires: 'back', byStep: true },
  unshelving: { ...build, fails: 'error' },
  deleting: { settles: 'deleted', fails: 'error', deadline_ms: 2 * MINUTE_MS, expires: 'gone', byStep: true },
}

export interface ActionRule {
  from: readonly VmState[]
  /** Tasks during which it may still begin; null is no task. */
  during?: readonly (TaskState | null)[]
  task: TaskState | null
  power?: Power
}

const SETTLED: readonly VmState[] = ['active', 'stopped', 'paused', 'suspended']
const BLOCK: readonly VmState[] = ['active', 'paused', 'stopped', 'resized', 'soft-deleted', 'shelved', 'shelved_offloaded', 'suspended']

/** By the name that a conflict is worded with: "Cannot 'stop' instance ...". */
export const ACTIONS = {
  start: { from: ['stopped'], task: 'powering-on', power: 'on' },
  stop: { from: ['active', 'error'], task: 'powering-off', power: 'off' },
  reboot: { from: ['active'], task: 'rebooting' },
  reboot_hard: { from: [...SETTLED, 'error'], during: [null, 'rebooting', 'reboot_started', 'rebooting_hard', 'resuming', 'unpausing', 'suspending'], task: 'rebooting_hard', power: 'on' },
  pause: { from: ['active'], task: 'pausing', power: 'paused' },
  unpause: { from: ['paused'], task: 'unpausing', power: 'on' },
  suspend: { from: ['active'], task: 'suspending', power: 'suspended' },
  resume: { from: ['suspended'], task: 'resuming', power: 'on' },
  rebuild: { from: ['active', 'stopped', 'error'], task: 'rebuilding' },
  resize: { from: ['active', 'stopped'], task: 'resize_prep' },
  confirm_resize: { from: ['resized'], task: null },
  revert_resize: { from: ['resized'], task: 'resize_reverting' },
  shelve: { from: SETTLED, task: 'shelving' },
  shelve_offload: { from: ['shelved'], task: 'shelving_offloading', power: 'off' },
  unshelve: { from: ['shelved', 'shelved_offloaded'], task: 'unshelving', power: 'on' },
  snapshot: { from: SETTLED, task: 'image_snapshot' },
  backup: { from: SETTLED, task: 'image_snapshot' },
  rescue: { from: ['active', 'stopped', 'error'], task: 'rescuing', power: 'on' },
  unrescue: { from: ['rescued'], task: 'unrescuing', power: 'on' },
  set_admin_password: { from: ['active'], task: 'updating_password' },
  restore: { from: ['soft-deleted'], task: null },
  attach_volume: { from: BLOCK, task: null },
  detach_volume: { from: BLOCK, task: null },
  attach_interface: { from: ['active', 'paused', 'stopped'], task: null },
  detach_interface: { from: ['active', 'paused', 'stopped'], task: null },
  update_instance_metadata: { from: SETTLED, task: null },
  delete_instance_metadata: { from: SETTLED, task: null },
  get_diagnostics: { from: ['active', 'paused', 'rescued', 'suspended', 'stopped', 'error', 'resized'], during: [null], task: null },
} satisfies Record<string, ActionRule>

export type ActionName = keyof typeof ACTIONS

/** Throws Nova's 409 where the action cannot begin now. */
export function requireAction(row: Pick<ServerRow, 'id' | 'vm_state' | 'task_state'>, action: ActionName): ActionRule {
  const rule: ActionRule = ACTIONS[action]
  const worded = action === 'reboot_hard' ? 'reboot' : action
  if (!rule.from.includes(row.vm_state)) throw new Fault('conflict', `Cannot '${worded}' instance ${row.id} while it is in vm_state ${row.vm_state}`)
  if (!(rule.during ?? [null]).includes(row.task_state)) throw new Fault('conflict', `Cannot '${worded}' instance ${row.id} while it is in task_state ${row.task_state}`)
  return rule
}

/** Nova's numbers. */
export const POWER: Record<PowerState, number> = { nostate: 0, running: 1, paused: 3, shutdown: 4, crashed: 6, suspended: 7 }

/** True where what the host reports is what the tenant asked for: a guest that turned itself off counts as on. */
export function powerReached(wanted: Power, power: PowerState | undefined): boolean {
  if (power === undefined) return true
  switch (wanted) {
    case 'on':
      return power !== 'paused' && power !== 'suspended'
    case 'off':
      return power === 'shutdown' || power === 'nostate' || power === 'crashed'
    case 'paused':
      return power === 'paused' || power === 'shutdown' || power === 'crashed'
    case 'suspended':
      return power === 'suspended' || power === 'shutdown'
    default:
      return wanted satisfies never
  }
}

export const isOff = (power: PowerState | undefined): boolean => power === 'shutdown' || power === 'crashed'

/** The state a finished task leaves. */
export function settled(task: TaskState, back: VmState, wanted: Power, power: PowerState | undefined): VmState {
  const { settles } = TASKS[task]
  if (settles === 'back') return back
  if (settles !== 'by-power') return settles
  return wanted === 'off' || isOff(power) ? 'stopped' : 'active'
}

const REBUILD = { rebuilding: 'REBUILD', rebuild_spawning: 'REBUILD' } as const
const RESIZE = { resize_prep: 'RESIZE', resize_migrating: 'RESIZE', resize_finish: 'RESIZE' } as const

/** One status for both: nova/api/openstack/common.py, _STATE_MAP. */
const STATUS: Record<VmState, { default: string } & Partial<Record<TaskState, string>>> = {
  active: { default: 'ACTIVE', rebooting: 'REBOOT', reboot_started: 'REBOOT', rebooting_hard: 'HARD_REBOOT', updating_password: 'PASSWORD', ...REBUILD, ...RESIZE },
  building: { default: 'BUILD' },
  stopped: { default: 'SHUTOFF', rebooting_hard: 'HARD_REBOOT', ...REBUILD, ...RESIZE },
  resized: { default: 'VERIFY_RESIZE', resize_reverting: 'REVERT_RESIZE' },
  paused: { default: 'PAUSED', rebooting_hard: 'HARD_REBOOT' },
  suspended: { default: 'SUSPENDED', rebooting_hard: 'HARD_REBOOT' },
  rescued: { default: 'RESCUE' },
  error: { default: 'ERROR', rebooting_hard: 'HARD_REBOOT', ...REBUILD },
  deleted: { default: 'DELETED' },
  'soft-deleted': { default: 'SOFT_DELETED' },
  shelved: { default: 'SHELVED' },
  shelved_offloaded: { default: 'SHELVED_OFFLOADED' },
}

export const statusOf = (vm: VmState, task: TaskState | null): string => (task === null ? STATUS[vm].default : (STATUS[vm][task] ?? STATUS[vm].default))

/** States that a status text of a filter may mean; empty where there is no such status. */
export function statesOfStatus(status: string): VmState[] {
  const wanted = status.toUpperCase()
  return (Object.keys(STATUS) as VmState[]).filter((vm) => Object.values(STATUS[vm]).includes(wanted))
}

export const PROGRESS_STATUSES: ReadonlySet<string> = new Set(['ACTIVE', 'BUILD', 'DELETED', 'RESIZE', 'VERIFY_RESIZE', 'REBUILD', 'MIGRATING'])
export const FAULT_STATUSES: ReadonlySet<string> = new Set(['ERROR', 'DELETED'])
