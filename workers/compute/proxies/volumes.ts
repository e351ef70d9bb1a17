/** Nova's old doors to Cinder's volumes and snapshots (up to 2.35). */
import * as v from 'valibot'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { isoMicrosNoZone } from '../../../schema/values/time.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { reply, route } from '../../http/route.ts'
import type { SnapshotData } from '../../volume/snapshots/store.ts'
import type { VolumeData } from '../../volume/volumes/store.ts'
import { bool, integer, wrap } from '../common/schemas.ts'
import { decoded } from '../common/texts.ts'

const P = 'os_compute_api:os-volumes'
const rule = (name: string, check: string): PolicyRule => ({ name: `${P}:${name}`, check, operations: [`/os-volumes, /os-snapshots (${name})`] })
export const volumeProxyPolicies: PolicyRule[] = [rule('list', 'rule:project_reader_or_admin'), rule('create', 'rule:project_member_or_admin'), rule('delete', 'rule:project_member_or_admin')]

const OLD: readonly [number, number] = [1, 35]
const label = v.optional(v.nullable(v.pipe(v.string(), v.maxLength(255))))
const volumeBody = wrap('volume', v.looseObject({
  size: integer(1), display_name: label, display_description: label, volume_type: v.optional(v.nullable(v.string())), metadata: v.optional(v.nullable(v.record(v.string(), v.string()))), snapshot_id: v.optional(v.nullable(v.string())),
  availability_zone: v.optional(v.nullable(v.string())),
}))
const snapshotBody = wrap('snapshot', v.looseObject({ volume_id: v.string(), display_name: label, display_description: label, force: v.optional(bool) }))

function volumeView(volume: VolumeData) {
  const attached = volume.attachments.filter((attachment) => attachment.server_id !== null && attachment.status === 'attached')
  return {
    id: volume.id, status: volume.status, size: volume.size_gib, availabilityZone: volume.availability_zone ?? 'nova', createdAt: isoMicrosNoZone(volume.created_ms), displayName: volume.name, displayDescription: volume.description, volumeType: volume.volume_type,
    snapshotId: volume.snapshot_id, metadata: volume.metadata, attachments: attached.length === 0 ? [{}] : attached.map((attachment) => ({ id: volume.id, volumeId: volume.id, serverId: attachment.server_id ?? '', device: attachment.device ?? '' })),
  }
}

const snapshotView = (snapshot: SnapshotData) => ({
  id: snapshot.id, volumeId: snapshot.volume_id, status: snapshot.status, size: snapshot.size_gib, createdAt: isoMicrosNoZone(snapshot.created_ms), displayName: snapshot.name, displayDescription: snapshot.description,
})

async function named<T>(ctx: Context, what: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw isFault(error, 'not_found') ? new Fault('not_found', `${what} ${decoded(ctx.params.id)} could not be found.`) : isFault(error, 'over_quota') ? new Fault('over_quota', error.message, { status: 403 }) : error
  }
}

function page<T>(ctx: Context, rows: readonly T[]): T[] {
  const number = (name: string, fallback: number) => {
    const text = ctx.query.get(name)
    if (text !== null && !/^\d+$/.test(text)) throw new Fault('bad_request', `${name} must be an integer that is not negative`)
    return text === null ? fallback : Number(text)
  }
  const offset = number('offset', 0)
  return rows.slice(offset, offset + number('limit', 1_000))
}

async function createVolume(ctx: Context<v.InferOutput<typeof volumeBody>>) {
  const given = ctx.body.volume
  const { type, quota_defaults } = await ctx.region.volume.types.forCreate(ctx.projectId, given.volume_type || null, given.availability_zone || null)
  const made = await named(ctx, 'Volume', ctx.project.volume.volumes.create({
    name: given.display_name ?? null, description: given.display_description ?? null, size_gib: given.size, type: { id: type.id, name: type.name, extra_specs: type.extra_specs }, availability_zone: given.availability_zone || null, metadata: given.metadata ?? {},
    multiattach: false, snapshot_id: given.snapshot_id || null, source_volid: null, scheduler_hints: null, image: null, quota_defaults,
  }))
  return { volume: volumeView(made) }
}

const volumesOf = async (ctx: Context) => ({ volumes: page(ctx, (await ctx.project.volume.volumes.list()) as VolumeData[]).map(volumeView) })
const snapshotsOf = async (ctx: Context) => ({ snapshots: page(ctx, (await ctx.project.volume.snapshots.list()) as SnapshotData[]).map(snapshotView) })

export const volumeProxyRoutes = [
  route({ method: 'GET', path: '/v2.1/os-volumes', policy: `${P}:list`, versions: OLD, handle: volumesOf }),
  route({ method: 'GET', path: '/v2.1/os-volumes/detail', policy: `${P}:list`, versions: OLD, handle: volumesOf }),
  route({ method: 'POST', path: '/v2.1/os-volumes', policy: `${P}:create`, versions: OLD, body: volumeBody, handle: createVolume }),
  route({ method: 'GET', path: '/v2.1/os-volumes/:id', policy: `${P}:list`, versions: OLD, handle: async (ctx) => ({ volume: volumeView(await named(ctx, 'Volume', ctx.project.volume.volumes.get(decoded(ctx.params.id)))) }) }),
  route({
    method: 'DELETE', path: '/v2.1/os-volumes/:id', policy: `${P}:delete`, versions: OLD,
    handle: async (ctx) => {
      await named(ctx, 'Volume', ctx.project.volume.volumes.delete(decoded(ctx.params.id), { cascade: false, force: false }))
      return reply({ status: 202 })
    },
  }),
  route({ method: 'GET', path: '/v2.1/os-snapshots', policy: `${P}:list`, versions: OLD, handle: snapshotsOf }),
  route({ method: 'GET', path: '/v2.1/os-snapshots/detail', policy: `${P}:list`, versions: OLD, handle: snapshotsOf }),
  route({
    method: 'POST', path: '/v2.1/os-snapshots', policy: `${P}:create`, versions: OLD, body: snapshotBody,
    handle: async (ctx) => {
      const given = ctx.body.snapshot
      const quota_defaults = await ctx.region.volume.types.quotaDefaults()
      return { snapshot: snapshotView(await named(ctx, 'Volume', ctx.project.volume.snapshots.create({ volume_id: given.volume_id, name: given.display_name ?? null, description: given.display_description ?? null, metadata: {}, force: given.force ?? false, quota_defaults }))) }
    },
  }),
  route({ method: 'GET', path: '/v2.1/os-snapshots/:id', policy: `${P}:list`, versions: OLD, handle: async (ctx) => ({ snapshot: snapshotView(await named(ctx, 'Snapshot', ctx.project.volume.snapshots.get(decoded(ctx.params.id)))) }) }),
  route({
    method: 'DELETE', path: '/v2.1/os-snapshots/:id', policy: `${P}:delete`, versions: OLD,
    handle: async (ctx) => {
      await named(ctx, 'Snapshot', ctx.project.volume.snapshots.delete(decoded(ctx.params.id), false))
      return reply({ status: 202 })
    },
  }),
]
