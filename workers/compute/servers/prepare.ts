/** From a boot request to what the project's transaction needs: flavor, key, image, networks and disks, fetched side by side and checked before anything is written. */
import type { ImageRef } from '../../../schema/agent/desired.ts'
import type { ServerFlavor } from '../../../schema/project/compute.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { type FoundImage, findImage } from '../../image/internal.ts'
import type { Flavor } from '../flavors/store.ts'
import type { NewDisk, NewServers } from './create.ts'
import { portRequests } from './networks.ts'
import type { BlockDevice, CreateServer } from './requests.ts'

const GIB = 1024 ** 3
const refId = (ref: string): string => ref.split('/').at(-1) ?? ''

export const frozen = (flavor: Flavor): ServerFlavor => ({
  id: flavor.id, name: flavor.name, vcpus: flavor.vcpus, ram_mib: flavor.ram_mib, disk_gib: flavor.disk_gib, ephemeral_gib: flavor.ephemeral_gib, swap_mib: flavor.swap_mib, extra_specs: flavor.extra_specs,
})

/** A missing flavor in a body is the body's fault: 400. */
export async function bodyFlavor(ctx: Context, ref: string): Promise<Flavor> {
  try {
    return await ctx.region.compute.flavors.get(refId(ref), ctx.caller.project_id, ctx.allows('admin'))
  } catch (error) {
    throw isFault(error, 'not_found') ? new Fault('bad_request', error.message) : error
  }
}

export async function bodyKey(ctx: Context, name: string | null | undefined): Promise<NewServers['key']> {
  if (name == null || name === '') return null
  try {
    const key = await ctx.region.compute.keypairs.get(ctx.caller.user_id, name)
    return { name: key.name, type: key.type, data: key.public_key }
  } catch (error) {
    throw isFault(error, 'not_found') ? new Fault('bad_request', 'Invalid key_name provided.') : error
  }
}

export async function bootImage(ctx: Context, ref: string): Promise<FoundImage> {
  let image: FoundImage
  try {
    image = await findImage(ctx, refId(ref))
  } catch (error) {
    throw isFault(error, 'not_found') ? new Fault('bad_request', 'Can not find requested image') : error
  }
  if (image.status !== 'active') throw new Fault('bad_request', `Image ${image.id} is unacceptable: Image is not active.`)
  return image
}

export function checkFits(flavor: ServerFlavor, image: FoundImage, rootOnVolume: boolean): void {
  if (image.min_ram_mib > flavor.ram_mib) throw new Fault('bad_request', "Flavor's memory is too small for requested image.")
  if (rootOnVolume || flavor.disk_gib === 0) return
  const bytes = flavor.disk_gib * GIB
  const need = Math.max(image.size_bytes ?? 0, image.virtual_size_bytes ?? 0)
  if (need > bytes) throw new Fault('bad_request', `Flavor's disk is too small for requested image. Flavor disk is ${bytes} bytes, image is ${need} bytes.`)
  if (image.min_disk_gib > flavor.disk_gib) throw new Fault('bad_request', `Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is ${bytes} bytes, minimum size is ${image.min_disk_gib * GIB} bytes.`)
}

const invalid = (why: string) => new Fault('bad_request', `Block Device Mapping is Invalid: ${why}`)

/** Both forms of mapping as the newer one. The image of the request is the root unless a mapping is. */
export function mappingsOf(given: CreateServer): BlockDevice[] {
  const old = (given.block_device_mapping ?? []).map((item, i): BlockDevice => ({
    source_type: item.snapshot_id === undefined ? 'volume' : 'snapshot', destination_type: 'volume', uuid: item.volume_id ?? item.snapshot_id ?? null, boot_index: i === 0 && (given.imageRef ?? '') === '' ? 0 : null,
    ...(item.volume_size === undefined ? {} : { volume_size: item.volume_size }), ...(item.delete_on_termination === undefined ? {} : { delete_on_termination: item.delete_on_termination }), device_name: item.device_name ?? null,
  }))
  if (old.length > 0 && (given.block_device_mapping_v2 ?? []).length > 0) throw new Fault('bad_request', 'Using different block_device_mapping syntaxes is not allowed in the same request.')
  return [...old, ...(given.block_device_mapping_v2 ?? [])]
}

export interface Disks {
  disks: NewDisk[]
  rootImage: string | null
}

/** Checks the mappings (indexes, sources, sizes) and sorts out which is the root. Pure but for the images to fetch, which it names. */
export function readMappings(given: CreateServer): { volumes: BlockDevice[]; rootImage: string | null } {
  const mappings = mappingsOf(given).filter((item) => item.no_device !== true)
  const boot = mappings.filter((item) => item.boot_index === 0)
  const wanted = (given.imageRef ?? '') === '' ? null : refId(given.imageRef ?? '')
  if (boot.length > 1) throw invalid('Boot sequence for the instance and image/block device mapping combination is not valid.')
  const indexes = mappings.map((item) => item.boot_index).filter((index): index is number => typeof index === 'number' && index >= 0).sort((a, b) => a - b)
  if (indexes.some((index, i) => i > 0 && index === indexes[i - 1])) throw invalid('Boot sequence for the instance and image/block device mapping combination is not valid.')
  for (const item of mappings) {
    if (item.source_type !== undefined && item.source_type !== 'blank' && (item.uuid ?? '') === '') throw invalid(`Missing device UUID.`)
    if (item.source_type === 'blank' && item.destination_type === 'volume' && item.volume_size == null) throw invalid("Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size.")
    if (item.source_type === 'image' && item.destination_type === 'volume' && item.volume_size == null) throw invalid("Images with destination_type 'volume' need to have a non-zero size specified")
    if (item.source_type === 'image' && item.destination_type !== 'volume' && item.boot_index !== 0) throw invalid('Mapping image to local is not supported.')
  }
  const [root] = boot
  const localRoot = root !== undefined && root.source_type === 'image' && root.destination_type !== 'volume'
  if (root === undefined && wanted === null) {
    if (mappings.length > 0 && given.block_device_mapping_v2 !== undefined) throw invalid('Boot sequence for the instance and image/block device mapping combination is not valid.')
    throw new Fault('bad_request', 'Invalid imageRef provided.')
  }
  return { volumes: mappings.filter((item) => item.destination_type === 'volume' || item.source_type === 'volume' || item.source_type === 'snapshot'), rootImage: localRoot ? (root.uuid ?? null) : root !== undefined ? null : wanted }
}

async function zoneOf(ctx: Context, given: CreateServer): Promise<{ availability_zone: string | null; forced_host: string | null }> {
  const [zone, host] = (given.availability_zone ?? '').split(':')
  const forced = host || given.host || given.hypervisor_hostname || null
  if (host) ctx.authorize('os_compute_api:servers:create:forced_host')
  if (given.host !== undefined || given.hypervisor_hostname !== undefined) ctx.authorize('os_compute_api:compute:servers:create:requested_destination')
  if (!zone && forced === null) return { availability_zone: null, forced_host: null }
  const hosts = await ctx.region.compute.hosts.list()
  if (zone && !hosts.some((candidate) => candidate.availability_zone === zone)) throw new Fault('bad_request', 'The requested availability zone is not available')
  if (forced !== null && !hosts.some((candidate) => candidate.name === forced)) throw new Fault('bad_request', `Compute host ${forced} could not be found.`)
  return { availability_zone: zone || null, forced_host: forced }
}

const diskOf = (item: BlockDevice, image: ImageRef | null): NewDisk => ({
  source: item.source_type ?? 'volume', id: item.uuid ?? null, image, size_gib: item.volume_size ?? null, boot_index: item.boot_index ?? null, delete_on_termination: item.delete_on_termination ?? false, device: item.device_name ?? null,
  tag: item.tag ?? null, volume_type: item.volume_type ?? null,
})

async function snapshotSize(ctx: Context, item: BlockDevice): Promise<BlockDevice> {
  if (item.source_type !== 'snapshot' || item.volume_size != null || item.uuid == null) return item
  try {
    const snapshot = await ctx.project.volume.snapshots.get(item.uuid)
    return { ...item, volume_size: snapshot.size_gib }
  } catch (error) {
    throw isFault(error, 'not_found') ? invalid(`failed to get snapshot ${item.uuid}.`) : error
  }
}

export async function prepareServers(ctx: Context, given: CreateServer, hints: Record<string, unknown>): Promise<NewServers> {
  const count_min = given.min_count ?? 1
  const count_max = given.max_count ?? count_min
  if (count_min > count_max) throw new Fault('bad_request', 'min_count must be <= max_count')
  const { volumes, rootImage } = readMappings(given)
  if (volumes.length > 0 && volumes.some((item) => item.source_type === 'volume') && count_max > 1) throw new Fault('bad_request', 'Cannot attach one or more volumes to multiple instances')
  if (given.metadata !== undefined && Object.keys(given.metadata).length > METADATA_ITEMS_MAX) throw new Fault('over_quota', `Maximum number of metadata items exceeds ${METADATA_ITEMS_MAX}`)
  const [found, key, image, zone, volumeImages, sized] = await Promise.all([
    bodyFlavor(ctx, given.flavorRef), bodyKey(ctx, given.key_name), rootImage === null ? null : bootImage(ctx, rootImage), zoneOf(ctx, given),
    Promise.all(volumes.map((item) => (item.source_type === 'image' ? bootImage(ctx, item.uuid ?? '') : null))), Promise.all(volumes.map((item) => snapshotSize(ctx, item))),
  ])
  const flavor = frozen(found)
  if (image !== null) checkFits(flavor, image, false)
  for (const volumeImage of volumeImages) if (volumeImage !== null) checkFits(flavor, volumeImage, true)
  // Last, as it claims addresses: nothing that can be refused comes after it but the transaction itself.
  const networks = await portRequests(ctx, given.networks, count_max)
  const groups = given.security_groups === undefined ? null : [...new Set(given.security_groups.map((group) => group.name))]
  return {
    name: given.name, description: given.description ?? (ctx.at(19) ? null : given.name), hostname: given.hostname ?? null, count_min, count_max, flavor, image_id: image?.id ?? null, image: image?.ref ?? null, key,
    metadata: given.metadata ?? {}, tags: given.tags ?? [], user_data: given.user_data ?? null, config_drive: given.config_drive ?? false, disk_config: given['OS-DCF:diskConfig'] ?? 'AUTO', access_ip_v4: given.accessIPv4 ?? '',
    access_ip_v6: given.accessIPv6 ?? '', admin_pass: given.adminPass ?? null, security_groups: groups, networks, disks: sized.map((item, i) => diskOf(item, volumeImages[i]?.ref ?? null)), ...zone, hints,
    trusted_certs: given.trusted_image_certificates ?? null,
  }
}

const METADATA_ITEMS_MAX = 128
