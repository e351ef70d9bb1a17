/** /v3/projects and their tags. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { Target } from '../../http/policy.ts'
import { type Route, reply, route, validate } from '../../http/route.ts'
import type { ProjectRow } from '../assignments/effective.ts'
import { split } from '../kernel/crud.ts'
import { authorized, flag, pageForm, pageQuery, pageReply, param, realmOf, rootUrl, sameId } from '../kernel/http.ts'
import { withFilter } from '../kernel/listing.ts'
import { wording } from '../kernel/wording.ts'
import { tag as tagWord } from '../kernel/words.ts'
import { PROJECT_COLUMNS, projectCreate, projectUpdate, tagList } from './requests.ts'
import type { ProjectSpec, TagQuery } from './store.ts'
import { familyView, projectView } from './views.ts'

const target = (row: ProjectRow): Target => ({ 'target.project.id': row.id, 'target.project.domain_id': row.is_domain ? row.id : row.domain_id })
const own = async (ctx: Context, rule: string): Promise<ProjectRow> => await authorized(ctx, rule, realmOf(ctx).projects.get(param(ctx, 'project_id')), target)

function tagQuery(query: URLSearchParams): TagQuery {
  const list = (name: string) => query.get(name)?.split(',').filter((text) => text !== '') ?? null
  return { all: list('tags'), any: list('tags-any'), notAll: list('not-tags'), notAny: list('not-tags-any') }
}

async function list(ctx: Context): Promise<unknown> {
  const { searchParams } = ctx.url
  const domainId = searchParams.get('domain_id') ?? ctx.caller.domain_id
  ctx.authorize('identity:list_projects', { 'target.domain_id': domainId })
  let query = pageQuery(ctx, { domain_id: 'text', enabled: 'bool', name: 'text', parent_id: 'text', is_domain: 'bool' })
  if (!searchParams.has('is_domain')) query = withFilter(query, 'is_domain', false)
  if (ctx.caller.domain_id !== null && !searchParams.has('domain_id') && !ctx.allows('identity:list_projects', {})) query = withFilter(query, 'domain_id', ctx.caller.domain_id)
  return pageReply(ctx, 'projects', await realmOf(ctx).projects.page(query, tagQuery(searchParams), pageForm(ctx)))
}

async function show(ctx: Context): Promise<unknown> {
  const row = await own(ctx, 'identity:get_project')
  const wants = ['parents_as_list', 'subtree_as_list', 'parents_as_ids', 'subtree_as_ids'].filter((name) => flag(ctx.url.searchParams, name))
  if (wants.includes('parents_as_list') && wants.includes('parents_as_ids')) throw new Fault('bad_request', 'Cannot use parents_as_list and parents_as_ids query params at the same time.')
  if (wants.includes('subtree_as_list') && wants.includes('subtree_as_ids')) throw new Fault('bad_request', 'Cannot use subtree_as_list and subtree_as_ids query params at the same time.')
  if (wants.length === 0) return { project: projectView(row, rootUrl(ctx)) }
  const { projects } = realmOf(ctx)
  const family = await projects.family(row.id)
  const mine = await projects.mine([...family.parents, ...family.subtree].map(({ id }) => id))
  return { project: { ...projectView(row, rootUrl(ctx)), ...familyView(row, family, new Set(mine), wants, rootUrl(ctx)) } }
}

/** The domain that a new project will be in: its parent's, where it names one. */
async function domainOfNew(ctx: Context, spec: ProjectSpec): Promise<string | null> {
  if (spec.is_domain) return null
  if (spec.parent_id == null || ctx.allows('identity:create_project', {})) return spec.domain_id ?? ctx.caller.domain_id
  const parent = await authorized(ctx, 'identity:create_project', realmOf(ctx).projects.get(spec.parent_id), target)
  return parent.is_domain ? parent.id : parent.domain_id
}

const tagsView = (ctx: Context, row: ProjectRow) => ({ tags: row.tags, links: { next: null, self: `${rootUrl(ctx)}/projects/${row.id}/tags`, previous: null } })
const setTags = async (ctx: Context, row: ProjectRow, tags: string[]) => await realmOf(ctx).projects.update(row.id, { tags })

export const projectRoutes: Route[] = [
  route({ method: 'GET', path: '/v3/projects', policy: 'token', handle: list }),
  route({
    method: 'POST', path: '/v3/projects', policy: 'token', body: projectCreate, status: 201,
    handle: async (ctx) => {
      const spec = split(ctx.body.project, PROJECT_COLUMNS) as unknown as ProjectSpec
      ctx.authorize('identity:create_project', { 'target.project.domain_id': await domainOfNew(ctx, spec) })
      return { project: projectView(await realmOf(ctx).projects.create(spec), rootUrl(ctx)) }
    },
  }),
  route({ method: 'GET', path: '/v3/projects/:project_id', policy: 'token', handle: show }),
  route({
    method: 'PATCH', path: '/v3/projects/:project_id', policy: 'token', body: projectUpdate,
    handle: async (ctx) => {
      const row = await own(ctx, 'identity:update_project')
      sameId(ctx.body.project, row.id)
      return { project: projectView(await realmOf(ctx).projects.update(row.id, split(ctx.body.project, PROJECT_COLUMNS) as Partial<ProjectSpec>), rootUrl(ctx)) }
    },
  }),
  route({ method: 'DELETE', path: '/v3/projects/:project_id', policy: 'token', handle: async (ctx) => await realmOf(ctx).projects.delete((await own(ctx, 'identity:delete_project')).id) }),
  route({ method: 'GET', path: '/v3/projects/:project_id/tags', policy: 'token', handle: async (ctx) => tagsView(ctx, await own(ctx, 'identity:list_project_tags')) }),
  route({
    method: 'PUT', path: '/v3/projects/:project_id/tags', policy: 'token', body: tagList,
    handle: async (ctx) => tagsView(ctx, await setTags(ctx, await own(ctx, 'identity:update_project_tags'), ctx.body.tags)),
  }),
  route({
    method: 'DELETE', path: '/v3/projects/:project_id/tags', policy: 'token',
    handle: async (ctx) => {
      await setTags(ctx, await own(ctx, 'identity:delete_project_tags'), [])
    },
  }),
  route({
    method: 'GET', path: '/v3/projects/:project_id/tags/:tag', policy: 'token',
    handle: async (ctx) => {
      const row = await own(ctx, 'identity:get_project_tag')
      if (!row.tags.includes(param(ctx, 'tag'))) throw new Fault('not_found', `Could not find project tag: ${param(ctx, 'tag')}.`)
      return reply({ status: 204 })
    },
  }),
  route({
    method: 'PUT', path: '/v3/projects/:project_id/tags/:tag', policy: 'token', status: 201,
    handle: async (ctx) => {
      const row = await own(ctx, 'identity:create_project_tag')
      const { name } = validate(v.object({ name: tagWord }), { name: param(ctx, 'tag') }, wording)
      await setTags(ctx, row, validate(tagList, { tags: [...new Set([...row.tags, name])] }, wording).tags)
      return reply({ status: 201, headers: { location: `${rootUrl(ctx)}/projects/${row.id}/tags/${encodeURIComponent(param(ctx, 'tag'))}` } })
    },
  }),
  route({
    method: 'DELETE', path: '/v3/projects/:project_id/tags/:tag', policy: 'token',
    handle: async (ctx) => {
      const row = await own(ctx, 'identity:delete_project_tag')
      const name = param(ctx, 'tag')
      if (!row.tags.includes(name)) throw new Fault('not_found', `Could not find project tag: ${name}.`)
      await setTags(ctx, row, row.tags.filter((tag) => tag !== name))
    },
  }),
]
