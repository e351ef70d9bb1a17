/** POST /servers/{id}/action: one entry per key: the versions that have it, its policy, its schema, what it does. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { Reply } from '../../http/route.ts'
import { integer, name, shape, text } from '../common/schemas.ts'
import { addFloatingIp, floatingSchema, removeFloatingIp } from '../proxies/networks.ts'
import { type Project, acting, sightOf } from './access.ts'
import { consoleOutput, vncConsole } from './console.ts'
import { bodyFlavor, bodyKey, bootImage, checkFits, frozen } from './prepare.ts'
import { type RebuildServer, adminPass, metadataBody, rebuildServer, resizeServer } from './requests.ts'
import { changedServer } from './views.ts'

// biome-ignore lint/suspicious/noExplicitAny: each entry's own schema types its arguments.
type Args = any

export interface ServerAction {
  policy: string
  versions?: readonly [number, number | null]
  schema(minor: number): v.GenericSchema
  run(ctx: Context, project: Project, id: string, args: Args): Promise<Reply | undefined>
}

const P = 'os_compute_api:'
const nothing = () => v.any()
const accepted = undefined

/** A task with no arguments. */
const plain = (policy: string, run: (ctx: Context, project: Project, id: string) => Promise<unknown>, versions?: ServerAction['versions']): ServerAction => ({
  policy: P + policy, schema: nothing, ...(versions === undefined ? {} : { versions }),
  run: async (ctx, project, id) => {
    await run(ctx, project, id)
    return accepted
  },
})

const metadata = v.optional(metadataBody.entries.metadata)
const imageHeaders = (ctx: Context, imageId: string): Reply => ({
  status: 202, headers: { location: `${ctx.origin}/image/v2/images/${imageId}` }, ...(ctx.at(45) ? { body: { image_id: imageId } } : {}),
})

async function rebuild(ctx: Context, project: Project, id: string, args: RebuildServer): Promise<Reply> {
  const [record, image, key] = await Promise.all([project.compute.servers.get(id), bootImage(ctx, args.imageRef), args.key_name === undefined ? undefined : bodyKey(ctx, args.key_name)])
  checkFits(record.flavor, image, record.image_id === null)
  const done = await project.compute.lifecycle.rebuild(
    id,
    {
      image_id: image.id, image: image.ref, admin_pass: args.adminPass ?? null, ...(args.name === undefined ? {} : { name: args.name }), ...(args.description === undefined ? {} : { description: args.description }),
      ...(args.metadata === undefined ? {} : { metadata: args.metadata }), ...(args.accessIPv4 === undefined ? {} : { access_ip_v4: args.accessIPv4 }), ...(args.accessIPv6 === undefined ? {} : { access_ip_v6: args.accessIPv6 }),
      ...(args['OS-DCF:diskConfig'] === undefined ? {} : { disk_config: args['OS-DCF:diskConfig'] }), ...(key === undefined ? {} : { key }), ...(args.user_data === undefined ? {} : { user_data: args.user_data }),
      ...(args.trusted_image_certificates === undefined ? {} : { trusted_certs: args.trusted_image_certificates }), ...(args.hostname === undefined ? {} : { hostname: args.hostname }),
    },
    acting(ctx),
  )
  return { status: 202, headers: { location: `${ctx.origin}/compute/v2.1/servers/${id}` }, body: { server: changedServer(await sightOf(ctx), done.record, { admin_pass: done.admin_pass }) } }
}

/** What this cloud cannot do is told after what any cloud would refuse: a missing server, a state that does not allow it. */
const refused = (action: string, from: readonly string[], why: string) => async (_ctx: Context, project: Project, id: string): Promise<undefined> => {
  const { vm_state } = await project.compute.servers.location(id)
  if (!from.includes(vm_state)) throw new Fault('conflict', `Cannot '${action}' instance ${id} while it is in vm_state ${vm_state}`)
  throw new Fault('bad_request', why)
}

const resetState: ServerAction = {
  policy: `${P}os-admin-actions:reset_state`, schema: () => v.strictObject({ state: v.picklist(['active', 'error']) }),
  run: async (_ctx, project, id, { state }) => {
    await project.compute.servers.resetState(id, state)
    return accepted
  },
}

const unshelve: ServerAction = {
  policy: `${P}os-shelve:unshelve`,
  schema: (minor) => (minor < 77 ? v.any() : v.nullable(shape<{ availability_zone?: string | null; host?: string }>({ availability_zone: minor >= 91 ? v.optional(v.nullable(text(255, 1))) : v.optional(text(255, 1)) }, minor >= 91 && { host: v.optional(text(255, 1)) }))),
  run: async (ctx, project, id, args) => {
    if (args?.host !== undefined) ctx.authorize(`${P}os-shelve:unshelve_to_host`)
    const where = ctx.at(77) && args !== null && typeof args === 'object' ? { ...(args.availability_zone === undefined ? {} : { availability_zone: args.availability_zone }), ...(args.host === undefined ? {} : { host: args.host }) } : {}
    await project.compute.lifecycle.unshelve(id, where, acting(ctx))
    return accepted
  },
}

const rescue: ServerAction = {
  policy: `${P}os-rescue`, schema: () => v.nullable(v.strictObject({ adminPass: v.optional(adminPass), rescue_image_ref: v.optional(v.pipe(v.string(), v.minLength(1))) })),
  run: async (ctx, project, id, args) => {
    const image = args?.rescue_image_ref === undefined ? null : (await bootImage(ctx, args.rescue_image_ref)).ref
    const { admin_pass } = await project.compute.lifecycle.rescue(id, { image, admin_pass: args?.adminPass ?? null }, acting(ctx))
    return { status: 200, body: { adminPass: admin_pass } }
  },
}

const groupAction = (verb: 'add' | 'remove'): ServerAction => ({
  policy: `${P}os-security-groups:${verb}`, schema: () => v.strictObject({ name: text(255, 1) }),
  run: async (_ctx, project, id, args) => {
    const { interfaces } = project.compute
    await (verb === 'add' ? interfaces.addSecurityGroup(id, args.name) : interfaces.removeSecurityGroup(id, args.name))
    return accepted
  },
})

const floatingAction = (verb: 'add' | 'remove'): ServerAction => ({
  policy: `${P}os-floating-ips:${verb}`, versions: [1, 43], schema: floatingSchema,
  run: async (_ctx, project, id, args) => {
    await project.compute.servers.location(id)
    await (verb === 'add' ? addFloatingIp(project, id, args) : removeFloatingIp(project, id, args))
    return accepted
  },
})

export const SERVER_ACTIONS: Record<string, ServerAction> = {
  'os-start': plain('servers:start', (ctx, project, id) => project.compute.lifecycle.start(id, acting(ctx))),
  'os-stop': plain('servers:stop', (ctx, project, id) => project.compute.lifecycle.stop(id, acting(ctx))),
  pause: plain('os-pause-server:pause', (ctx, project, id) => project.compute.lifecycle.pause(id, acting(ctx))),
  unpause: plain('os-pause-server:unpause', (ctx, project, id) => project.compute.lifecycle.unpause(id, acting(ctx))),
  suspend: plain('os-suspend-server:suspend', (ctx, project, id) => project.compute.lifecycle.suspend(id, acting(ctx))),
  resume: plain('os-suspend-server:resume', (ctx, project, id) => project.compute.lifecycle.resume(id, acting(ctx))),
  shelve: plain('os-shelve:shelve', (ctx, project, id) => project.compute.lifecycle.shelve(id, acting(ctx))),
  shelveOffload: plain('os-shelve:shelve_offload', (ctx, project, id) => project.compute.lifecycle.shelveOffload(id, acting(ctx))),
  unshelve, rescue, 'os-resetState': resetState,
  unrescue: plain('os-unrescue', (ctx, project, id) => project.compute.lifecycle.unrescue(id, acting(ctx))),
  revertResize: plain('servers:revert_resize', (ctx, project, id) => project.compute.lifecycle.revertResize(id, acting(ctx))),
  confirmResize: {
    policy: `${P}servers:confirm_resize`, schema: nothing,
    run: async (ctx, project, id) => {
      await project.compute.lifecycle.confirmResize(id, acting(ctx))
      return { status: 204 }
    },
  },
  forceDelete: plain('os-deferred-delete:force', (ctx, project, id) => project.compute.servers.delete(id, { force: true, ...acting(ctx) })),
  restore: plain('os-deferred-delete:restore', async (_ctx, project, id) => {
    const { vm_state } = await project.compute.servers.location(id)
    throw new Fault('conflict', `Cannot 'restore' instance ${id} while it is in vm_state ${vm_state}`)
  }),
  lock: {
    policy: `${P}os-lock-server:lock`, schema: (minor) => (minor >= 73 ? v.nullable(v.strictObject({ locked_reason: v.optional(text(255, 1)) })) : v.any()),
    run: async (ctx, project, id, args) => {
      await project.compute.servers.lock(id, ctx.at(73) ? (args?.locked_reason ?? null) : null)
      return accepted
    },
  },
  unlock: plain('os-lock-server:unlock', (_ctx, project, id) => project.compute.servers.unlock(id)),
  reboot: {
    policy: `${P}servers:reboot`, schema: () => v.strictObject({ type: v.picklist(['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']) }),
    run: async (ctx, project, id, { type }) => {
      await project.compute.lifecycle.reboot(id, type.toUpperCase(), acting(ctx))
      return accepted
    },
  },
  rebuild: { policy: `${P}servers:rebuild`, schema: rebuildServer, run: rebuild },
  resize: {
    policy: `${P}servers:resize`, schema: () => resizeServer,
    run: async (ctx, project, id, args) => {
      const [record, flavor] = await Promise.all([project.compute.servers.get(id), bodyFlavor(ctx, args.flavorRef)])
      if (flavor.disk_gib === 0 && record.image_id !== null && record.flavor.disk_gib !== 0) throw new Fault('bad_request', "Resize to zero disk flavor is not allowed.")
      await project.compute.lifecycle.resize(id, frozen(flavor), args['OS-DCF:diskConfig'] ?? null, acting(ctx))
      return accepted
    },
  },
  createImage: {
    policy: `${P}servers:create_image`, schema: () => v.strictObject({ name, metadata }),
    run: async (ctx, project, id, args) => imageHeaders(ctx, (await project.compute.lifecycle.createImage(id, { name: args.name, metadata: args.metadata ?? {} }, acting(ctx))).image_id),
  },
  createBackup: {
    policy: `${P}os-create-backup`, schema: () => v.strictObject({ name, backup_type: text(255), rotation: integer(0), metadata }),
    run: async (ctx, project, id, args) => {
      const { image_id } = await project.compute.lifecycle.createBackup(id, { name: args.name, type: args.backup_type, rotation: args.rotation, metadata: args.metadata ?? {} }, acting(ctx))
      return args.rotation === 0 || image_id === null ? { status: 202 } : imageHeaders(ctx, image_id)
    },
  },
  changePassword: {
    policy: `${P}os-admin-password`, schema: () => v.strictObject({ adminPass }),
    run: async (ctx, project, id, args) => {
      await project.compute.lifecycle.changePassword(id, args.adminPass, acting(ctx))
      return accepted
    },
  },
  'os-getConsoleOutput': { policy: `${P}os-console-output`, schema: () => v.strictObject({ length: v.optional(v.nullable(integer(-1))) }), run: consoleOutput },
  'os-getVNCConsole': { policy: `${P}os-remote-consoles`, versions: [1, 5], schema: () => v.strictObject({ type: v.picklist(['novnc', 'xvpvnc']) }), run: vncConsole },
  'os-getSerialConsole': { policy: `${P}os-remote-consoles`, versions: [1, 5], schema: () => v.strictObject({ type: v.picklist(['serial']) }), run: vncConsole },
  addFloatingIp: floatingAction('add'), removeFloatingIp: floatingAction('remove'),
  addSecurityGroup: groupAction('add'), removeSecurityGroup: groupAction('remove'),
  migrate: { policy: `${P}os-migrate-server:migrate`, schema: nothing, run: refused('migrate', ['active', 'stopped'], 'Cold migration of a server with local disks is not supported by this cloud yet.') },
  'os-migrateLive': { policy: `${P}os-migrate-server:migrate_live`, schema: nothing, run: refused('live_migrate', ['active', 'paused'], 'Live migration is not supported by this cloud yet.') },
  evacuate: { policy: `${P}os-evacuate`, schema: nothing, run: refused('evacuate', ['active', 'stopped', 'error'], 'Evacuation is not supported by this cloud yet: a silent host keeps its servers until it is heard of again.') },
  injectNetworkInfo: plain('os-admin-actions:inject_network_info', (_ctx, project, id) => project.compute.servers.location(id)),
  resetNetwork: plain('os-admin-actions:reset_network', (_ctx, project, id) => project.compute.servers.location(id), [1, 92]),
}

