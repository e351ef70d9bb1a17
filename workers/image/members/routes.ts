/** /v2/images/{id}/members: with whom an image is shared. The owner invites, the invited project accepts. */
import { object, picklist, pipe, maxLength, minLength, string } from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { route } from '../../http/route.ts'
import { memberView } from '../images/views.ts'
import { type Located, locate } from '../locate.ts'

const idOf = (ctx: Context): string => decodeURIComponent(ctx.params.id ?? '')
const memberOf = (ctx: Context): string => decodeURIComponent(ctx.params.member ?? '')
const addBody = object({ member: pipe(string(), minLength(1), maxLength(255)) })
const setBody = object({ status: picklist(['pending', 'accepted', 'rejected']) })

async function shared(ctx: Context): Promise<Located> {
  const found = await locate(ctx, idOf(ctx))
  if (found.image.visibility !== 'shared') throw new Fault('forbidden', 'Only shared images have members.')
  return found
}

async function ownersOnly(ctx: Context, what: string): Promise<Located> {
  const found = await shared(ctx)
  if (!found.own && !found.admin) throw new Fault('forbidden', `You are not permitted to ${what}`)
  return found
}

export const routes = [
  route({
    method: 'GET',
    path: '/v2/images/:id/members',
    policy: 'get_members',
    handle: async (ctx) => {
      const { image, own, admin } = await shared(ctx)
      const seen = own || admin ? image.members : image.members.filter((member) => member.member_id === ctx.caller.project_id)
      return { members: seen.map((member) => memberView(image.id, member)), schema: '/v2/schemas/members' }
    },
  }),
  route({
    method: 'POST',
    path: '/v2/images/:id/members',
    policy: 'add_member',
    body: addBody,
    handle: async (ctx) => {
      const { image, store } = await ownersOnly(ctx, 'create image members for the image.')
      return memberView(image.id, await store.addMember(image.id, ctx.body.member))
    },
  }),
  route({
    method: 'GET',
    path: '/v2/images/:id/members/:member',
    policy: 'get_member',
    handle: async (ctx) => {
      const { image, own, admin } = await shared(ctx)
      const member = image.members.find((entry) => entry.member_id === memberOf(ctx))
      if (member === undefined || !(own || admin || member.member_id === ctx.caller.project_id)) throw new Fault('not_found', `${memberOf(ctx)} not found in the member list of the image ${image.id}.`)
      return memberView(image.id, member)
    },
  }),
  route({
    method: 'PUT',
    path: '/v2/images/:id/members/:member',
    policy: 'modify_member',
    body: setBody,
    handle: async (ctx) => {
      const { image, store, admin } = await shared(ctx)
      // The owner must not accept for the invited.
      if (!admin && ctx.caller.project_id !== memberOf(ctx)) throw new Fault('forbidden', 'You are not permitted to modify the status of this image member.')
      return memberView(image.id, await store.setMember(image.id, memberOf(ctx), ctx.body.status))
    },
  }),
  route({
    method: 'DELETE',
    path: '/v2/images/:id/members/:member',
    policy: 'delete_member',
    handle: async (ctx) => {
      const { image, store } = await ownersOnly(ctx, 'delete image members of the image.')
      await store.deleteMember(image.id, memberOf(ctx))
    },
  }),
]
