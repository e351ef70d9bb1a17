/** One walk through what tenants do, step by step, each step given the time to end: what the outbox tests run over and over. */
import type { Answer } from '../support/cloud.ts'
import { type Model, type Thing, type ThingKind, pathOf } from './operations.ts'
import { calm } from './seed.ts'
import type { SimCloud } from './simcloud.ts'

const TENANT = 'project-a'

class Walk {
  sim: SimCloud
  model: Model

  constructor(sim: SimCloud, model: Model) {
    this.sim = sim
    this.model = model
  }

  async say(method: string, path: string, json?: unknown, options: { body?: BodyInit; headers?: Record<string, string> } = {}): Promise<Answer> {
    const answer = await this.sim.finish(this.sim.call(TENANT, method, path, json, options))
    this.model.count(answer)
    return answer
  }

  /** Null where it was refused: what needs it is left out. */
  async make(kind: ThingKind, json: unknown): Promise<Thing | null> {
    const answer = await this.say('POST', pathOf({ kind, tenant: TENANT, id: '' }).replace(/\/$/, ''), json)
    const id = (answer.body?.[kind]?.id ?? answer.body?.id) as string | undefined
    await calm(this.sim)
    if (answer.status >= 300 || id === undefined) return null
    const thing: Thing = { kind, id, tenant: TENANT, deleted: false, unsure: false }
    this.model.things.set(id, thing)
    return thing
  }

  async act(thing: Thing | null, json: unknown, suffix = '/action', method = 'POST'): Promise<void> {
    if (thing === null) return
    await this.say(method, `${pathOf(thing)}${suffix}`, json)
    await calm(this.sim)
  }

  async remove(thing: Thing | null): Promise<void> {
    if (thing === null) return
    const answer = await this.say('DELETE', pathOf(thing))
    if (answer.status < 300) thing.deleted = true
    else thing.unsure = true
    await calm(this.sim)
  }
}

export async function walk(sim: SimCloud, model: Model): Promise<void> {
  const on = new Walk(sim, model)
  const networks = [{ uuid: model.networks.get(TENANT) }]
  const server = await on.make('server', { server: { name: 's', flavorRef: '1', imageRef: model.imageId, networks } })
  const volume = await on.make('volume', { volume: { size: 1, name: 'v' } })
  const port = await on.make('port', { port: { network_id: model.networks.get(TENANT) } })
  const fip = await on.make('floatingip', { floatingip: { floating_network_id: model.publicId, port_id: port?.id } })
  await on.act(server, { volumeAttachment: { volumeId: volume?.id } }, '/os-volume_attachments')
  await on.act(server, { createImage: { name: 'saved' } })
  await on.act(server, { reboot: { type: 'SOFT' } })
  await on.act(server, { changePassword: { adminPass: 'another' } })
  await on.act(server, { resize: { flavorRef: '2' } })
  await on.act(server, { revertResize: null })
  await on.act(server, { shelve: null })
  await on.act(server, { unshelve: null })
  if (volume !== null) await on.act(server, undefined, `/os-volume_attachments/${volume.id}`, 'DELETE')
  const snapshot = await on.make('snapshot', { snapshot: { volume_id: volume?.id } })
  const backup = await on.make('backup', { backup: { volume_id: volume?.id, name: 'b' } })
  await on.act(backup, { restore: { volume_id: volume?.id } }, '/restore')
  await on.remove(backup)
  await on.remove(snapshot)
  await on.act(volume, { 'os-extend': { new_size: 2 } })
  await on.act(volume, { 'os-volume_upload_image': { image_name: 'from-volume', disk_format: 'raw' } })
  const booted = await on.make('server', { server: { name: 'b', flavorRef: '1', networks: [{ uuid: model.sharedId }], block_device_mapping_v2: [{ boot_index: 0, uuid: model.imageId, source_type: 'image', destination_type: 'volume', volume_size: 1, delete_on_termination: true }] } })
  const network = await on.make('network', { network: { name: 'n' } })
  const image = await on.make('image', { name: 'i', disk_format: 'raw', container_format: 'bare' })
  if (image !== null) await on.say('PUT', `${pathOf(image)}/file`, undefined, { body: new Uint8Array(1024), headers: { 'content-type': 'application/octet-stream' } })
  for (const thing of [image, network, fip, port, server, booted, volume]) await on.remove(thing)
}
