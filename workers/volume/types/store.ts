/** Volume types, QoS specs and defaults: what tenants share. Runs in the Region object. */
import { RpcTarget } from 'cloudflare:workers'
import { eq } from 'drizzle-orm'
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type Encryption, type QosRow, qosSpecs, volumeAllocations, volumeDefaults, volumeTypes, type VolumeTypeRow } from '../../../schema/region/volume.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { HostsStore } from '../../agents/hosts/store.ts'
import { DEFAULT_TYPE } from './default-type.ts'

const DEFAULT_NAME = 'default_type'
export const typeMissing = (id: string): Fault => new Fault('not_found', `Volume type ${id} could not be found.`)

export function readType(deps: Deps, id: string): VolumeTypeRow {
  const row = deps.db.select().from(volumeTypes).where(eq(volumeTypes.id, id)).get()
  if (row === undefined) throw typeMissing(id)
  return row
}

const defaultOf = <T>(deps: Deps, name: string): T | undefined => deps.db.select().from(volumeDefaults).where(eq(volumeDefaults.name, name)).get()?.value as T | undefined

export function defaultTypeOf(deps: Deps, project_id: string): VolumeTypeRow {
  return readType(deps, defaultOf<string>(deps, `${DEFAULT_NAME}:${project_id}`) ?? defaultOf<string>(deps, DEFAULT_NAME) ?? DEFAULT_TYPE.id)
}

const mayUse = (type: VolumeTypeRow, project_id: string | null): boolean => type.is_public || (project_id !== null && type.access.includes(project_id))

export interface TypeChange {
  name?: string
  description?: string | null
  is_public?: boolean
}

export class VolumeTypesStore extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(all: boolean): VolumeTypeRow[] {
    return this.#deps.db.select().from(volumeTypes).all().filter((type) => all || mayUse(type, this.#caller.project_id))
  }

  get(id: string, all: boolean): VolumeTypeRow {
    const type = id === 'default' ? defaultTypeOf(this.#deps, this.#caller.project_id ?? '') : readType(this.#deps, id)
    if (!all && !mayUse(type, this.#caller.project_id)) throw typeMissing(id)
    return type
  }

  /** What a create needs of the region, in one call: the type by id or name (or the default), whether the zone exists, default quotas. */
  forCreate(project_id: string, nameOrId: string | null, zone: string | null): { type: VolumeTypeRow; quota_defaults: Record<string, number> } {
    if (zone !== null && !this.zones().includes(zone)) throw new Fault('bad_request', `Availability zone '${zone}' is invalid.`)
    return { type: nameOrId === null ? defaultTypeOf(this.#deps, project_id) : this.#find(nameOrId, project_id), quota_defaults: this.quotaDefaults() }
  }

  zones(): string[] {
    return [...new Set(['nova', ...new HostsStore(this.#deps, this.#caller).list().filter((host) => host.facts?.roles.includes('volume')).map((host) => host.availability_zone)])]
  }

  create(spec: { name: string; description: string | null; is_public: boolean; extra_specs: Record<string, string> }): VolumeTypeRow {
    this.#refuseName(spec.name, null)
    const row: VolumeTypeRow = { id: this.#deps.ids.uuid(), ...spec, access: [], qos_specs_id: null, encryption: null, created_ms: this.#deps.clock.now_ms() }
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.insert(volumeTypes).values(row).run()
      tx.change('volume_type', row.id, 'create', null, row)
    })
    return row
  }

  update(id: string, change: TypeChange & { extra_specs?: Record<string, string>; access?: string[]; encryption?: Encryption | null; qos_specs_id?: string | null }): VolumeTypeRow {
    const before = readType(this.#deps, id)
    if (change.name !== undefined) this.#refuseName(change.name, id)
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.update(volumeTypes).set({ ...before, ...change }).where(eq(volumeTypes.id, id)).run()
      tx.change('volume_type', id, 'update', before, change)
    })
    return readType(this.#deps, id)
  }

  delete(id: string): void {
    const row = readType(this.#deps, id)
    if (id === DEFAULT_TYPE.id || id === defaultOf<string>(this.#deps, DEFAULT_NAME)) throw new Fault('bad_request', `Volume type is currently configured as the default type and cannot be deleted.`)
    if (this.#inUse(id)) throw new Fault('bad_request', 'Target volume type is still in use.')
    this.#deps.commit(this.#caller, (tx) => {
      this.#deps.db.delete(volumeTypes).where(eq(volumeTypes.id, id)).run()
      tx.change('volume_type', id, 'delete', row, null)
    })
  }

  addAccess(id: string, project_id: string): void {
    const type = readType(this.#deps, id)
    if (type.is_public) throw new Fault('bad_request', 'Invalid volume type: Type access modification is not applicable to public volume type.')
    if (type.access.includes(project_id)) throw new Fault('conflict', `Volume type access for ${id} / ${project_id} combination already exists.`)
    this.update(id, { access: [...type.access, project_id] })
  }

  removeAccess(id: string, project_id: string): void {
    const type = readType(this.#deps, id)
    if (type.is_public) throw new Fault('bad_request', 'Invalid volume type: Type access modification is not applicable to public volume type.')
    if (!type.access.includes(project_id)) throw new Fault('not_found', `Volume type access not found for ${id} / ${project_id} combination.`)
    this.update(id, { access: type.access.filter((entry) => entry !== project_id) })
  }

  setEncryption(id: string, encryption: Omit<Encryption, 'encryption_id' | 'created_ms' | 'updated_ms'> | null, creating: boolean): VolumeTypeRow {
    const type = readType(this.#deps, id)
    if (this.#inUse(id)) throw new Fault('bad_request', `Volume type encryption for type ${id} cannot be changed: it is in use.`)
    if (creating && type.encryption !== null) throw new Fault('bad_request', `Volume type encryption for type ${id} already exists.`)
    if (!creating && type.encryption === null) throw new Fault('not_found', `Volume type encryption for type ${id} does not exist.`)
    const now = this.#deps.clock.now_ms()
    return this.update(id, { encryption: encryption === null ? null : { ...encryption, encryption_id: type.encryption?.encryption_id ?? this.#deps.ids.uuid(), created_ms: type.encryption?.created_ms ?? now, updated_ms: creating ? null : now } })
  }

  // ---------------------------------------------------------------- QoS

  qosList(): QosRow[] {
    return this.#deps.db.select().from(qosSpecs).all()
  }

  qos(id: string): QosRow {
    const row = this.#deps.db.select().from(qosSpecs).where(eq(qosSpecs.id, id)).get()
    if (row === undefined) throw new Fault('not_found', `No such qos_specs ${id}.`)
    return row
  }

  createQos(name: string, consumer: QosRow['consumer'], specs: Record<string, string>): QosRow {
    if (this.qosList().some((row) => row.name === name)) throw new Fault('conflict', `QoS specs ${name} already exists.`)
    const row: QosRow = { id: this.#deps.ids.uuid(), name, consumer, specs }
    this.#deps.db.insert(qosSpecs).values(row).run()
    return row
  }

  updateQos(id: string, change: Partial<Pick<QosRow, 'consumer' | 'specs'>>): QosRow {
    this.qos(id)
    this.#deps.db.update(qosSpecs).set(change).where(eq(qosSpecs.id, id)).run()
    return this.qos(id)
  }

  deleteQos(id: string, force: boolean): void {
    this.qos(id)
    const users = this.qosTypes(id)
    if (users.length > 0 && !force) throw new Fault('bad_request', `QoS Specs ${id} is still associated with entities.`)
    this.#deps.commit(this.#caller, (tx) => {
      for (const type of users) this.#deps.db.update(volumeTypes).set({ qos_specs_id: null }).where(eq(volumeTypes.id, type.id)).run()
      this.#deps.db.delete(qosSpecs).where(eq(qosSpecs.id, id)).run()
      tx.change('volume_qos', id, 'delete', { id }, null)
    })
  }

  qosTypes(id: string): VolumeTypeRow[] {
    this.qos(id)
    return this.#deps.db.select().from(volumeTypes).where(eq(volumeTypes.qos_specs_id, id)).all()
  }

  associateQos(id: string, type_id: string | 'all', on: boolean): void {
    this.qos(id)
    for (const type of type_id === 'all' ? this.qosTypes(id) : [readType(this.#deps, type_id)]) {
      if (on && type.qos_specs_id !== null && type.qos_specs_id !== id) throw new Fault('bad_request', `Type ${type.id} is already associated with another qos specs: ${type.qos_specs_id}`)
      this.#deps.db.update(volumeTypes).set({ qos_specs_id: on ? id : null }).where(eq(volumeTypes.id, type.id)).run()
    }
  }

  // ---------------------------------------------------------------- defaults

  defaultTypes(): { project_id: string; volume_type_id: string }[] {
    return this.#deps.db.select().from(volumeDefaults).all().filter((row) => row.name.startsWith(`${DEFAULT_NAME}:`)).map((row) => ({ project_id: row.name.slice(DEFAULT_NAME.length + 1), volume_type_id: String(row.value) }))
  }

  setDefaultType(project_id: string, nameOrId: string | null): VolumeTypeRow | null {
    const name = `${DEFAULT_NAME}:${project_id}`
    if (nameOrId === null) {
      if (defaultOf(this.#deps, name) === undefined) throw new Fault('not_found', `Default type for project ${project_id} not found.`)
      this.#deps.db.delete(volumeDefaults).where(eq(volumeDefaults.name, name)).run()
      return null
    }
    const type = this.#find(nameOrId, project_id)
    this.#deps.db.insert(volumeDefaults).values({ name, value: type.id }).onConflictDoUpdate({ target: volumeDefaults.name, set: { value: type.id } }).run()
    return type
  }

  quotaDefaults(): Record<string, number> {
    return defaultOf<Record<string, number>>(this.#deps, 'quotas') ?? {}
  }

  setQuotaDefaults(limits: Record<string, number>): Record<string, number> {
    const value = { ...this.quotaDefaults(), ...limits }
    this.#deps.db.insert(volumeDefaults).values({ name: 'quotas', value }).onConflictDoUpdate({ target: volumeDefaults.name, set: { value } }).run()
    return value
  }

  #find(nameOrId: string, project_id: string | null): VolumeTypeRow {
    const type = this.#deps.db.select().from(volumeTypes).where(eq(volumeTypes.id, nameOrId)).get() ?? this.#deps.db.select().from(volumeTypes).where(eq(volumeTypes.name, nameOrId)).get()
    if (type === undefined || !(mayUse(type, project_id) || this.#caller.roles.includes('admin'))) throw typeMissing(nameOrId)
    return type
  }

  #inUse(id: string): boolean {
    return this.#deps.db.select().from(volumeAllocations).where(eq(volumeAllocations.volume_type_id, id)).get() !== undefined
  }

  #refuseName(name: string, own: string | null): void {
    const taken = this.#deps.db.select().from(volumeTypes).where(eq(volumeTypes.name, name)).get()
    if (taken !== undefined && taken.id !== own) throw new Fault('conflict', `Volume Type ${name} already exists.`)
  }
}
