/** Projects and domains (projects that act as one): a tree per domain. Runs in the Identity object. */
import { type SQL, and, eq, inArray, or, sql } from 'drizzle-orm'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import {
  accessRules, applicationCredentials, assignments, credentials, domainConfig, groupMembers, groups, impliedRoles, limits, oauthAccessTokens, oauthRequestTokens, passwords, projectEndpoints, projects, receipts, roles, totpUsed, trusts, users,
} from '../../../schema/identity/tables.ts'
import { type ProjectRow, ancestorsOf, byIds, descendantIds, projectById, projectIdsOfUser, projectsByIds } from '../assignments/effective.ts'
import { type ListQuery, listRows } from '../kernel/listing.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { type Page, type PageForm, pageOf } from '../kernel/pages.ts'
import { forbidden, invalid, notFound } from '../kernel/realm.ts'
import { Store, inTx, merged } from '../kernel/store.ts'
import { TWO_LEVEL_DEPTH } from '../limits/two-level.ts'
import { removeProvidersOfDomain, removeVouchedGroup, removeVouchedUser } from '../federation/rows.ts'
import { projectView } from './views.ts'
import { type Impact, both, nothing, ofDomain, ofProject } from '../revocations/concerned.ts'

export interface ProjectSpec {
  name: string
  domain_id?: string | null
  parent_id?: string | null
  is_domain?: boolean
  enabled?: boolean
  description?: string | null
  tags?: string[]
  options?: Record<string, unknown>
  extra?: Record<string, unknown>
  /** Domains may be given their id (federation of deployments). */
  id?: string
}

export interface TagQuery {
  all: string[] | null
  any: string[] | null
  notAll: string[] | null
  notAny: string[] | null
}

export interface Family {
  parents: ProjectRow[]
  subtree: ProjectRow[]
}

const asked = (kind: 'project' | 'domain', id: string) => notFound(kind, id)
const taken = (row: ProjectRow) => new Fault('conflict', `Conflict occurred attempting to store project - it is not permitted to have two projects ${row.is_domain ? `acting as domains with the same name: ${row.name}` : `with either the same name or same id in the same domain: name is ${row.name}, project id ${row.id}`}.`)
const kindOf = (row: ProjectRow) => (row.is_domain ? 'domain' : 'project')

export class Projects extends Store {
  get(id: string): ProjectRow {
    const row = projectById(this.realm.db, id)
    if (row === undefined) throw asked('project', id)
    return row
  }

  domain(id: string): ProjectRow {
    const row = projectById(this.realm.db, id)
    if (row === undefined || !row.is_domain) throw asked('domain', id)
    return row
  }

  list(query: ListQuery, tags: TagQuery, onlyIds: string[] | null): ProjectRow[] {
    const has = (wanted: string[]): SQL => sql`(SELECT count(*) FROM json_each(${projects.tags}) WHERE value IN (${sql.join(wanted.map((tag) => sql`${tag}`), sql`, `)}))`
    const where: (SQL | undefined)[] = []
    if (tags.all !== null) where.push(sql`${has(tags.all)} = ${tags.all.length}`)
    if (tags.any !== null) where.push(sql`${has(tags.any)} > 0`)
    if (tags.notAll !== null) where.push(sql`${has(tags.notAll)} < ${tags.notAll.length}`)
    if (tags.notAny !== null) where.push(sql`${has(tags.notAny)} = 0`)
    if (onlyIds === null) return listRows(this.realm.db, projects, query, ...where)
    return byIds(onlyIds, (chunk) => listRows(this.realm.db, projects, query, ...where, inArray(projects.id, chunk)))
  }

  page(query: ListQuery, tags: TagQuery, form: PageForm): Page {
    return this.realm.pages.kept(['projects', query, tags, form], () => pageOf(this.list(query, tags, null), form, (row) => projectView(row, form.root)))
  }

  /** Projects where a user has a role. */
  ofUser(userId: string, query: ListQuery): ProjectRow[] {
    return byIds(projectIdsOfUser(this.realm.db, userId), (chunk) => listRows(this.realm.db, projects, query, inArray(projects.id, chunk)))
  }

  family(id: string): Family {
    const row = this.get(id)
    return { parents: ancestorsOf(this.realm.db, row), subtree: projectsByIds(this.realm.db, descendantIds(this.realm.db, id)) }
  }

  /** Which of these the caller's user has a role on: what parents_as_list and subtree_as_list may show. */
  mine(ids: string[]): string[] {
    const own = projectIdsOfUser(this.realm.db, this.caller.user_id)
    return ids.filter((id) => own.has(id))
  }

  create(spec: ProjectSpec): ProjectRow {
    const { db, deps } = this.realm
    return inTx(this, (tx) => {
      const isDomain = spec.is_domain ?? false
      const parent = this.#parentOf(spec, isDomain)
      const domainId = isDomain ? '' : parent?.is_domain ? parent.id : (parent?.domain_id ?? '')
      const row: ProjectRow = {
        id: spec.id ?? deps.ids.hex(), name: spec.name, domain_id: domainId, parent_id: parent?.id ?? null, is_domain: isDomain, enabled: spec.enabled ?? true, description: spec.description ?? '',
        tags: [...(spec.tags ?? [])].sort(), options: dropNulls(spec.options ?? {}), extra: spec.extra ?? {},
      }
      if (projectById(db, row.id) !== undefined) throw taken(row)
      this.#unique(row)
      db.insert(projects).values(row).run()
      tx.change(kindOf(row), row.id, 'create', null, row)
      return row
    })
  }

  async update(id: string, change: Partial<ProjectSpec>): Promise<ProjectRow> {
    const { db, revoker } = this.realm
    const [row, seq] = inTx(this, (tx) => {
      const before = this.get(id)
      const { options, tags, description, ...rest } = change
      mutable(before, options)
      if (rest.is_domain !== undefined && rest.is_domain !== before.is_domain) throw invalid('Update of `is_domain` is not allowed.')
      if (rest.parent_id !== undefined && rest.parent_id !== before.parent_id) throw forbidden('Update of `parent_id` is not allowed.')
      if (rest.domain_id !== undefined && rest.domain_id !== null && rest.domain_id !== before.domain_id) throw invalid('Cannot change Domain ID')
      const { domain_id: _d, parent_id: _p, is_domain: _i, id: _id, ...own } = rest
      const row = merged(before, { ...own, ...(description === undefined ? {} : { description: description ?? '' }), ...(tags === undefined ? {} : { tags: [...tags].sort() }), ...(options === undefined ? {} : { options: dropNulls({ ...before.options, ...options }) }) })
      this.#unique(row)
      const impact = this.#enabling(before, row)
      db.update(projects).set(row).where(eq(projects.id, id)).run()
      tx.change(kindOf(row), id, 'update', before, row)
      return [row, revoker.record(impact.refs, impact.projectIds)] as const
    })
    await revoker.pushed(seq)
    return row
  }

  async delete(id: string, cascade = false): Promise<void> {
    const { db, revoker } = this.realm
    if (this.get(id).is_domain) return await this.deleteDomain(id)
    const seq = inTx(this, (tx) => {
      const row = this.get(id)
      unlocked(row)
      const below = descendantIds(db, id)
      if (below.length > 0 && !cascade) throw forbidden(`Cannot delete the project ${id} since it is not a leaf in the hierarchy. Use the cascade option if you want to delete a whole subtree.`)
      const ids = [...below, id]
      const impact = both(...ids.map(ofProject))
      for (const each of ids) this.#remove(tx, this.get(each))
      return revoker.record(impact.refs, impact.projectIds)
    })
    await revoker.pushed(seq)
  }

  /** A disabled domain, with all that is in it. */
  async deleteDomain(id: string): Promise<void> {
    const { db, revoker } = this.realm
    const seq = inTx(this, (tx) => {
      const row = this.domain(id)
      unlocked(row)
      if (row.enabled) throw forbidden('Cannot delete a domain that is enabled, please disable it first.')
      const impact = ofDomain(db, id)
      for (const { id: project } of db.select({ id: projects.id }).from(projects).where(eq(projects.domain_id, id)).all()) this.#remove(tx, this.get(project))
      for (const { id: user } of db.select({ id: users.id }).from(users).where(eq(users.domain_id, id)).all()) removeUserRows(tx, user)
      for (const { id: group } of db.select({ id: groups.id }).from(groups).where(eq(groups.domain_id, id)).all()) removeGroupRows(tx, group)
      for (const { id: role } of db.select({ id: roles.id }).from(roles).where(eq(roles.domain_id, id)).all()) removeRoleRows(tx, role)
      removeProvidersOfDomain(tx, id)
      db.delete(domainConfig).where(eq(domainConfig.domain_id, id)).run()
      db.delete(limits).where(eq(limits.domain_id, id)).run()
      this.#remove(tx, row)
      return revoker.record(impact.refs, impact.projectIds)
    })
    await revoker.pushed(seq)
  }

  #parentOf(spec: ProjectSpec, isDomain: boolean): ProjectRow | null {
    const { db, options } = this.realm
    if (isDomain) {
      if (spec.parent_id != null || spec.domain_id != null) throw invalid('only root projects are allowed to act as domains.')
      return null
    }
    const parentId = spec.parent_id ?? spec.domain_id ?? this.caller.domain_id ?? 'default'
    const parent = projectById(db, parentId)
    // A reference in a body that does not hold is the body's fault.
    if (parent === undefined || (spec.parent_id == null && !parent.is_domain)) throw invalid(`Could not find ${spec.parent_id != null ? 'project' : 'domain'}: ${parentId}.`)
    const domainId = parent.is_domain ? parent.id : parent.domain_id
    if (spec.domain_id != null && spec.domain_id !== domainId) throw invalid(`Cannot create project, since it specifies its domain_id ${spec.domain_id}, but specifies a parent in a different domain (${domainId}).`)
    const above = [parent, ...ancestorsOf(db, parent)]
    const off = above.find((row) => !row.enabled)
    if (off !== undefined && spec.enabled !== false) throw forbidden(`cannot create a project in a branch containing a disabled project: ${off.id}`)
    const depth = options.enforcement_model === 'strict_two_level' ? Math.min(options.max_project_tree_depth, TWO_LEVEL_DEPTH) : options.max_project_tree_depth
    if (above.length > depth) throw forbidden(`Max hierarchy depth reached for ${parent.id} branch.`)
    return parent
  }

  #unique(row: ProjectRow): void {
    const found = this.realm.db.select({ id: projects.id }).from(projects).where(and(eq(projects.domain_id, row.domain_id), eq(projects.name, row.name))).get()
    if (found !== undefined && found.id !== row.id) throw taken(row)
  }

  #enabling(before: ProjectRow, after: ProjectRow): Impact {
    const { db } = this.realm
    if (before.enabled === after.enabled) return nothing
    if (after.enabled) {
      if (ancestorsOf(db, before).some((row) => !row.enabled)) throw forbidden(`Cannot enable project ${before.id} since it has disabled parents`)
      return nothing
    }
    if (before.is_domain) return ofDomain(db, before.id)
    if (projectsByIds(db, descendantIds(db, before.id)).some((row) => row.enabled)) throw forbidden(`Cannot disable project ${before.id} since its subtree contains enabled projects.`)
    return ofProject(before.id)
  }

  #remove(tx: Tx, row: ProjectRow): void {
    const { db } = tx
    db.delete(assignments).where(eq(assignments.target_id, row.id)).run()
    db.delete(credentials).where(eq(credentials.project_id, row.id)).run()
    db.delete(applicationCredentials).where(eq(applicationCredentials.project_id, row.id)).run()
    db.delete(oauthAccessTokens).where(eq(oauthAccessTokens.project_id, row.id)).run()
    db.delete(oauthRequestTokens).where(eq(oauthRequestTokens.project_id, row.id)).run()
    db.update(trusts).set({ deleted_ms: tx.now_ms }).where(eq(trusts.project_id, row.id)).run()
    db.delete(projectEndpoints).where(eq(projectEndpoints.project_id, row.id)).run()
    db.delete(limits).where(eq(limits.project_id, row.id)).run()
    db.update(users).set({ default_project_id: null }).where(eq(users.default_project_id, row.id)).run()
    db.delete(projects).where(eq(projects.id, row.id)).run()
    tx.change(kindOf(row), row.id, 'delete', row, null)
    if (!row.is_domain) tx.outbox('delete-account', { project_id: row.id })
  }
}

const dropNulls = (options: Record<string, unknown>) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null))

/** An immutable resource takes one change: the one that makes it mutable. */
export function mutable(row: { id: string; options: Record<string, unknown>; is_domain?: boolean }, options: Record<string, unknown> | undefined, kind?: string): void {
  if (row.options.immutable !== true || (options !== undefined && options.immutable === false)) return
  throw forbidden(`Unable to update immutable ${kind ?? (row.is_domain ? 'domain' : 'project')} resource: \`${row.id}. Set resource option "immutable" to false first.`)
}

export function unlocked(row: { id: string; options: Record<string, unknown>; is_domain?: boolean }, kind?: string): void {
  if (row.options.immutable === true) throw forbidden(`Unable to delete immutable ${kind ?? (row.is_domain ? 'domain' : 'project')} resource: \`${row.id}. Set resource option "immutable" to false first.`)
}

/** What hangs on a user. */
export function removeUserRows(tx: Tx, id: string): void {
  const { db } = tx
  db.delete(passwords).where(eq(passwords.user_id, id)).run()
  db.delete(groupMembers).where(eq(groupMembers.user_id, id)).run()
  removeVouchedUser(tx, id)
  db.delete(assignments).where(and(eq(assignments.actor_type, 'user'), eq(assignments.actor_id, id))).run()
  for (const { id: credential } of db.select({ id: credentials.id }).from(credentials).where(eq(credentials.user_id, id)).all()) db.delete(totpUsed).where(eq(totpUsed.credential_id, credential)).run()
  db.delete(receipts).where(eq(receipts.user_id, id)).run()
  db.delete(credentials).where(eq(credentials.user_id, id)).run()
  db.delete(applicationCredentials).where(eq(applicationCredentials.user_id, id)).run()
  db.delete(oauthAccessTokens).where(eq(oauthAccessTokens.user_id, id)).run()
  db.delete(oauthRequestTokens).where(eq(oauthRequestTokens.user_id, id)).run()
  db.delete(accessRules).where(eq(accessRules.user_id, id)).run()
  db.update(trusts).set({ deleted_ms: tx.now_ms }).where(or(eq(trusts.trustor_user_id, id), eq(trusts.trustee_user_id, id))).run()
  db.delete(users).where(eq(users.id, id)).run()
  tx.change('user', id, 'delete', { id }, null)
}

export function removeGroupRows(tx: Tx, id: string): void {
  const { db } = tx
  db.delete(groupMembers).where(eq(groupMembers.group_id, id)).run()
  removeVouchedGroup(tx, id)
  db.delete(assignments).where(and(eq(assignments.actor_type, 'group'), eq(assignments.actor_id, id))).run()
  db.delete(groups).where(eq(groups.id, id)).run()
  tx.change('group', id, 'delete', { id }, null)
}

export function removeRoleRows(tx: Tx, id: string): void {
  const { db } = tx
  db.delete(assignments).where(eq(assignments.role_id, id)).run()
  db.delete(impliedRoles).where(or(eq(impliedRoles.prior_id, id), eq(impliedRoles.implied_id, id))).run()
  db.delete(roles).where(eq(roles.id, id)).run()
  tx.change('role', id, 'delete', { id }, null)
}
