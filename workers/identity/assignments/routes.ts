/** Grants, in every combination of target, actor and inheritance, and /v3/role_assignments. */
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { authorized, flag, listView, param, realmOf, rootUrl } from '../kernel/http.ts'
import { roleView } from '../roles/views.ts'
import { SYSTEM_TARGET } from './effective.ts'
import type { AssignmentFilter, GrantFacts, GrantRef } from './store.ts'
import { assignmentView } from './views.ts'

interface Family {
  path: string
  target: 'project' | 'domain' | 'system'
  actor: 'user' | 'group'
  inherited: boolean
}

/** An absent kind of actor or target is left out, so that a rule about it does not hold. */
const targetOf = (facts: GrantFacts) => ({
  ...(facts.user_domain_id === null ? {} : { 'target.user.domain_id': facts.user_domain_id }), ...(facts.group_domain_id === null ? {} : { 'target.group.domain_id': facts.group_domain_id }),
  ...(facts.project_domain_id === null ? {} : { 'target.project.domain_id': facts.project_domain_id }), ...(facts.domain_id === null ? {} : { 'target.domain.id': facts.domain_id }),
  ...(facts.role_name === null ? {} : { 'target.role.name': facts.role_name }),
})

function familyRoutes({ path, target, actor, inherited }: Family): Route[] {
  const rule = (verb: 'list' | 'check' | 'create' | 'revoke') => (target === 'system' ? `identity:${verb}_system_grant${verb === 'list' ? 's' : ''}_for_${actor}` : `identity:${verb}_grant${verb === 'list' ? 's' : ''}`)
  const refOf = (ctx: Context): GrantRef => ({ actor_type: actor, actor_id: param(ctx, 'actor_id'), target_type: target, target_id: target === 'system' ? SYSTEM_TARGET : param(ctx, 'target_id'), inherited })
  const admitted = async (ctx: Context, name: string, roleId: string | null): Promise<GrantRef> => {
    const ref = refOf(ctx)
    await authorized(ctx, name, realmOf(ctx).assignments.facts(ref, roleId), targetOf)
    return ref
  }
  const one = inherited ? `${path}/:role_id/inherited_to_projects` : `${path}/:role_id`
  const check = async (ctx: Context) => {
    const roleId = param(ctx, 'role_id')
    await realmOf(ctx).assignments.check(await admitted(ctx, rule('check'), roleId), roleId)
    return reply({ status: 204 })
  }
  return [
    route({
      method: 'GET', path: inherited ? `${path}/inherited_to_projects` : path, policy: 'token',
      handle: async (ctx) => listView(ctx, 'roles', (await realmOf(ctx).assignments.roles(await admitted(ctx, rule('list'), null))).map((row) => roleView(row, rootUrl(ctx)))),
    }),
    route({ method: 'GET', path: one, policy: 'token', handle: check }),
    route({ method: 'HEAD', path: one, policy: 'token', handle: check }),
    route({ method: 'PUT', path: one, policy: 'token', handle: async (ctx) => await realmOf(ctx).assignments.grant(await admitted(ctx, rule('create'), param(ctx, 'role_id')), param(ctx, 'role_id')) }),
    route({ method: 'DELETE', path: one, policy: 'token', handle: async (ctx) => await realmOf(ctx).assignments.revoke(await admitted(ctx, rule('revoke'), param(ctx, 'role_id')), param(ctx, 'role_id')) }),
  ]
}

const ACTORS = ['user', 'group'] as const
const families: Family[] = ACTORS.flatMap((actor): Family[] => [
  ...(['project', 'domain'] as const).flatMap((target): Family[] => [
    { path: `/v3/${target}s/:target_id/${actor}s/:actor_id/roles`, target, actor, inherited: false },
    { path: `/v3/OS-INHERIT/${target}s/:target_id/${actor}s/:actor_id/roles`, target, actor, inherited: true },
  ]),
  { path: `/v3/system/${actor}s/:actor_id/roles`, target: 'system', actor, inherited: false },
])

function filterOf(query: URLSearchParams): AssignmentFilter {
  const filter: AssignmentFilter = {
    role_id: query.get('role.id'), user_id: query.get('user.id'), group_id: query.get('group.id'), project_id: query.get('scope.project.id'), domain_id: query.get('scope.domain.id'), system: flag(query, 'scope.system'),
    inherited: query.has('scope.OS-INHERIT:inherited_to'), effective: flag(query, 'effective'), include_subtree: flag(query, 'include_subtree'),
  }
  const bad = (message: string) => new Fault('bad_request', message)
  if (filter.user_id !== null && filter.group_id !== null) throw bad('Specify a user or group, not both')
  if (filter.project_id !== null && filter.domain_id !== null) throw bad('Specify a domain or project, not both')
  if (filter.system && (filter.project_id !== null || filter.domain_id !== null)) throw bad(`Specify system or ${filter.project_id !== null ? 'project' : 'domain'}, not both`)
  if (filter.inherited && query.get('scope.OS-INHERIT:inherited_to') !== 'projects') throw bad('Only inherited_to=projects is known')
  if (filter.include_subtree && filter.project_id === null) throw bad('scope.project.id must be specified if include_subtree is also specified')
  if (filter.effective && filter.group_id !== null) throw bad('Combining effective and group filter will always result in an empty list.')
  if (filter.effective && filter.inherited && filter.domain_id !== null) throw bad('Combining effective, domain and inherited filters will always result in an empty list.')
  return filter
}

async function list(ctx: Context): Promise<unknown> {
  const query = ctx.url.searchParams
  const filter = filterOf(query)
  const { assignments, projects } = realmOf(ctx)
  const rule = filter.include_subtree ? 'identity:list_role_assignments_for_tree' : 'identity:list_role_assignments'
  if (!ctx.allows(rule, {})) {
    const domainId = filter.domain_id ?? (filter.project_id === null ? null : (await authorized(ctx, rule, projects.get(filter.project_id), (row) => ({ 'target.domain_id': row.domain_id, 'target.project.id': row.id }))).domain_id)
    ctx.authorize(rule, { 'target.domain_id': domainId, 'target.project.id': filter.project_id })
  }
  const lines = await assignments.list(filter)
  const names = flag(query, 'include_names') ? await assignments.names(lines) : null
  return listView(ctx, 'role_assignments', lines.map((line) => assignmentView(line, names, rootUrl(ctx))))
}

export const assignmentRoutes: Route[] = [...families.flatMap(familyRoutes), route({ method: 'GET', path: '/v3/role_assignments', policy: 'token', handle: list })]
