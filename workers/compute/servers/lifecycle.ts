/**
 * What a tenant may ask of a server that takes time. Each call checks the table of states, writes the wish (power, incarnation, flavor, image) with a task, and
 * promises that the host will learn of it; the host's report ends the task.
 */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { peersOf } from '../../../durable-objects/project/peers.ts'
import type { ImageRef } from '../../../schema/agent/desired.ts'
import type { ServerFlavor, ServerOperation, ServerRow, TaskState } from '../../../schema/project/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { addMigration, setMigration } from '../migrations/rows.ts'
import { claimServers } from '../quotas/quota.ts'
import { randomText } from './create.ts'
import { BACKUP_TYPE, queueSnapshot } from './image-steps.ts'
import { type ServerRecord, recordOf } from './record.ts'
import { beginTask, converge, finishAction, liveServer, patch, startAction, volumesOf } from './rows.ts'
import { type ActionName, requireAction } from './states.ts'

/** An admin's call may pass a lock. */
export interface ActOptions {
  locked_override: boolean
}

export interface Rebuild {
  image_id: string
  image: ImageRef
  name?: string
  description?: string | null
  metadata?: Record<string, string>
  admin_pass: string | null
  access_ip_v4?: string
  access_ip_v6?: string
  disk_config?: string
  key?: { name: string; type: 'ssh' | 'x509'; data: string } | null
  user_data?: string | null
  trusted_certs?: string[] | null
  hostname?: string
}

type Change = Partial<ServerRow>

export class Lifecycle extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  start(id: string, options: ActOptions): void {
    this.#power(id, 'start', 'start', options)
  }

  stop(id: string, options: ActOptions): void {
    this.#power(id, 'stop', 'stop', options)
  }

  pause(id: string, options: ActOptions): void {
    this.#power(id, 'pause', 'pause', options)
  }

  unpause(id: string, options: ActOptions): void {
    this.#power(id, 'unpause', 'unpause', options)
  }

  suspend(id: string, options: ActOptions): void {
    this.#power(id, 'suspend', 'suspend', options)
  }

  resume(id: string, options: ActOptions): void {
    this.#power(id, 'resume', 'resume', options)
  }

  /** Soft asks the guest; hard is a machine made anew: a new incarnation. */
  reboot(id: string, type: 'SOFT' | 'HARD', options: ActOptions): void {
    if (type === 'HARD') return this.#act(id, 'reboot_hard', 'reboot', options, (row) => ({ incarnation: row.incarnation + 1 }))
    this.#deps.commit(this.#caller, (tx) => {
      const { row, task } = this.#check(tx, id, 'reboot', options)
      beginTask(this.#deps, tx, this.#caller, row, { action: 'reboot', task })
      tx.outbox('compute.reboot', { server_id: id }, { key: `command-${id}` })
    })
  }

  rebuild(id: string, given: Rebuild, options: ActOptions): { record: ServerRecord; admin_pass: string } {
    const admin_pass = given.admin_pass ?? randomText(this.#deps, 12)
    return this.#deps.commit(this.#caller, (tx) => {
      const { row, task } = this.#check(tx, id, 'rebuild', options)
      if (volumesOf(tx.db, id).some((volume) => volume.boot_index === 0)) throw new Fault('bad_request', 'Unable to rebuild a volume-backed server: its root is a volume of its own. Make a new volume from the image instead.')
      const { key, image_id, image, ...rest } = given
      const change: Change = {
        ...rest, image_id, image, admin_pass, ...(key === undefined ? {} : { key, key_name: key?.name ?? null }), progress: 0, fault: null, incarnation: row.incarnation + 1, root_generation: row.root_generation + 1, generation: row.generation + 1,
      }
      const back = row.vm_state === 'stopped' ? 'stopped' : 'active'
      const next = beginTask(this.#deps, tx, this.#caller, row, { action: 'rebuild', task, change: { ...change, power: back === 'stopped' ? 'off' : 'on' }, operation: { back } })
      converge(tx, id)
      return { record: recordOf(this.#deps, next), admin_pass }
    })
  }

  /** On its own host: a server with local disks does not move yet. */
  resize(id: string, flavor: ServerFlavor, disk_config: string | null, options: ActOptions): void {
    this.#deps.commit(this.#caller, (tx) => {
      const { row, task } = this.#check(tx, id, 'resize', options)
      if (flavor.id === row.flavor.id) throw new Fault('bad_request', 'When resizing, instances must change flavor!')
      if (row.image !== null && flavor.disk_gib < row.flavor.disk_gib) throw new Fault('bad_request', `Resize to flavor ${flavor.name} is refused: its root disk of ${flavor.disk_gib} GiB is smaller than the server's ${row.flavor.disk_gib} GiB.`)
      if (row.host_id === null) throw new Fault('conflict', `Cannot 'resize' instance ${id}: it is on no host`)
      claimServers(peersOf(this.#deps).quotas, tx.db, row.user_id, { cores: Math.max(0, flavor.vcpus - row.vcpus), ram: Math.max(0, flavor.ram_mib - row.ram_mib) })
      const host = row.host_name ?? ''
      const migration = addMigration(tx, { uuid: this.#deps.ids.uuid(), server_id: id, user_id: this.#caller.user_id, type: 'resize', status: 'migrating', source: host, dest: host, old_flavor_id: row.flavor.id, new_flavor_id: flavor.id })
      const back = row.vm_state
      beginTask(this.#deps, tx, this.#caller, row, {
        action: 'resize', task, change: { ...(disk_config === null ? {} : { disk_config }), flavor, vcpus: flavor.vcpus, ram_mib: flavor.ram_mib, resize: { migration_id: migration.id, old_flavor: row.flavor, kept_consumer: migration.uuid, back } },
      })
      converge(tx, id)
    })
  }

  confirmResize(id: string, options: ActOptions): void {
    this.#deps.commit(this.#caller, (tx) => {
      const { row } = this.#check(tx, id, 'confirm_resize', options)
      startAction(tx, this.#caller, row, 'confirmResize', true)
      if (row.resize !== null) {
        setMigration(tx, row.resize.migration_id, 'confirmed')
        tx.outbox('compute.release', { consumers: [row.resize.kept_consumer] }, { key: id })
      }
      const off = row.power_state === 4
      patch(tx, row, { vm_state: off ? 'stopped' : 'active', resize: null, ...(off && row.power !== 'off' ? { power: 'off' as const, generation: row.generation + 1 } : {}) })
      converge(tx, id)
    })
  }

  revertResize(id: string, options: ActOptions): void {
    this.#deps.commit(this.#caller, (tx) => {
      const { row, task } = this.#check(tx, id, 'revert_resize', options)
      const { resize } = row
      if (resize === null) throw new Fault('bad_request', 'Instance has not been resized.')
      setMigration(tx, resize.migration_id, 'reverted')
      const flavor = resize.old_flavor
      beginTask(this.#deps, tx, this.#caller, row, {
        action: 'revertResize', task, operation: { back: resize.back },
        change: { flavor, vcpus: flavor.vcpus, ram_mib: flavor.ram_mib, incarnation: row.incarnation + 1, generation: row.generation + 1, power: resize.back === 'stopped' ? 'off' : 'on' },
      })
      tx.outbox('compute.unresize', { consumer: id, kept: resize.kept_consumer }, { key: id })
      converge(tx, id)
    })
  }

  createImage(id: string, image: { name: string; metadata: Record<string, string> }, options: ActOptions): { image_id: string } {
    return this.#snapshot(id, 'snapshot', 'createImage', image, null, options)
  }

  createBackup(id: string, backup: { name: string; type: string; rotation: number; metadata: Record<string, string> }, options: ActOptions): { image_id: string | null } {
    const image = { name: backup.name, metadata: { ...backup.metadata, [BACKUP_TYPE]: backup.type, image_type: 'backup' } }
    return this.#snapshot(id, 'backup', 'createBackup', image, { type: backup.type, keep: backup.rotation }, options)
  }

  /** The root disk becomes an image, then the host lets go of it. A server that boots from a volume needs no image. */
  shelve(id: string, options: ActOptions): void {
    const onVolume = volumesOf(this.#deps.db, id).some((volume) => volume.boot_index === 0)
    if (!onVolume) {
      const name = `${liveServer(this.#deps.db, id).name}-shelved`
      this.#snapshot(id, 'shelve', 'shelve', { name, metadata: {} }, null, options)
      return
    }
    this.#deps.commit(this.#caller, (tx) => {
      const { row } = this.#check(tx, id, 'shelve', options)
      beginTask(this.#deps, tx, this.#caller, row, { action: 'shelve', task: 'shelving_offloading', change: { vm_state: 'shelved', generation: row.generation + 1 }, operation: { back: 'shelved' } })
      converge(tx, id)
    })
  }

  shelveOffload(id: string, options: ActOptions): void {
    this.#act(id, 'shelve_offload', 'shelveOffload', options, () => ({}))
  }

  unshelve(id: string, where: { availability_zone?: string | null; host?: string }, options: ActOptions): void {
    this.#act(id, 'unshelve', 'unshelve', options, (row) => {
      if (where.availability_zone !== undefined && row.vm_state !== 'shelved_offloaded') throw new Fault('conflict', `Cannot 'unshelve' instance ${id} with another availability zone while it is in vm_state ${row.vm_state}`)
      return {
        incarnation: row.incarnation + 1, root_generation: row.vm_state === 'shelved_offloaded' ? row.root_generation + 1 : row.root_generation, excluded_hosts: [], ...(where.availability_zone === undefined ? {} : { requested_zone: where.availability_zone }),
        ...(where.host === undefined ? {} : { forced_host: where.host }),
      }
    })
  }

  rescue(id: string, rescue: { image: ImageRef | null; admin_pass: string | null }, options: ActOptions): { admin_pass: string } {
    const admin_pass = rescue.admin_pass ?? randomText(this.#deps, 12)
    this.#act(id, 'rescue', 'rescue', options, (row) => {
      const image = rescue.image ?? row.image
      if (image === null) throw new Fault('bad_request', `Instance ${id} cannot be rescued: Cannot rescue a volume-backed instance`)
      return { rescue_image: image, admin_pass, incarnation: row.incarnation + 1 }
    })
    return { admin_pass }
  }

  unrescue(id: string, options: ActOptions): void {
    this.#act(id, 'unrescue', 'unrescue', options, (row) => ({ incarnation: row.incarnation + 1, rescue_image: null }))
  }

  changePassword(id: string, password: string, options: ActOptions): void {
    this.#deps.commit(this.#caller, (tx) => {
      const { row, task } = this.#check(tx, id, 'set_admin_password', options)
      beginTask(this.#deps, tx, this.#caller, row, { action: 'changePassword', task })
      tx.outbox('compute.password', { server_id: id, password }, { key: `command-${id}` })
    })
  }

  #power(id: string, rule: ActionName, action: string, options: ActOptions): void {
    this.#act(id, rule, action, options, () => ({}))
  }

  /** Checks, writes the wish and the task, promises the host. */
  #act(id: string, rule: ActionName, action: string, options: ActOptions, change: (row: ServerRow) => Change): void {
    this.#deps.commit(this.#caller, (tx) => {
      const { row, task, power } = this.#check(tx, id, rule, options)
      if (row.operation !== null) finishAction(tx, row, row.operation.request_id, null)
      beginTask(this.#deps, tx, this.#caller, row, { action, task, change: { ...(power === undefined ? {} : { power }), ...change(row), generation: row.generation + 1 } })
      converge(tx, id)
    })
  }

  #snapshot(id: string, rule: ActionName, action: string, image: { name: string; metadata: Record<string, string> }, rotation: { type: string; keep: number } | null, options: ActOptions): { image_id: string } {
    return this.#deps.commit(this.#caller, (tx) => {
      const { row, task } = this.#check(tx, id, rule, options)
      if (row.image === null) throw new Fault('bad_request', `Instance ${id} boots from a volume: take a snapshot of the volume instead.`)
      const image_id = this.#deps.newId()
      queueSnapshot(this.#deps, tx, row, { id: image_id, name: image.name, properties: image.metadata })
      const operation: Partial<ServerOperation> = { image_id }
      beginTask(this.#deps, tx, this.#caller, row, { action, task, operation })
      tx.outbox('compute.snapshot', { server_id: id, image_id, rotation }, { key: `command-${id}` })
      return { image_id }
    })
  }

  #check(tx: Tx, id: string, rule: ActionName, options: ActOptions): { row: ServerRow; task: TaskState; power: ServerRow['power'] | undefined } {
    const row = liveServer(tx.db, id)
    if (row.locked && !options.locked_override) throw new Fault('conflict', `Instance ${id} is locked`)
    const { task, power } = requireAction(row, rule)
    // A server that never got a place has no machine to act on (Nova's check_instance_host).
    if (row.host_id === null && rule !== 'unshelve') throw new Fault('conflict', `Instance ${id} is not ready`)
    return { row, task: task ?? 'spawning', power }
  }
}
