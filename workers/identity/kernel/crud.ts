/** The five routes of a plain resource, from one description: POST, GET list, GET, PATCH, DELETE. They are ordinary routes; tests see each of them. */
import type { GenericSchema } from 'valibot'
import type { Remote } from '../../../durable-objects/kernel/rpc.ts'
import type { IdentitySession } from '../../../durable-objects/identity/session.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, route } from '../../http/route.ts'
import { pageQuery, pagedView, param, realmOf, rootUrl, sameId } from './http.ts'
import type { FieldKind, ListQuery } from './listing.ts'

interface PlainStore<R> {
  get(id: string): Promise<R>
  list(query: ListQuery): Promise<R[]>
  create(values: Partial<R>): Promise<R>
  update(id: string, values: Partial<R>): Promise<R>
  delete(id: string): Promise<void>
}

export interface CrudSpec<R> {
  /** 'service', 'services': keys of bodies; the policy names follow from them (identity:create_service...). */
  one: string
  many: string
  /** '/v3/services' */
  path: string
  store(session: Remote<IdentitySession>): unknown
  create: GenericSchema
  update: GenericSchema
  filters: Record<string, FieldKind>
  /** Body attributes that are columns; the rest goes to `extra`. */
  columns: string[]
  view(row: R, root: string): { id?: unknown }
  /** Who may read; everything else is the admin's. */
  read: string
  /** Names of rules where upstream's differ from identity:<verb>_<one>. */
  rule?: string
}

/** Known attributes as columns, unknown ones as `extra`. */
export function split(body: Record<string, unknown>, columns: string[]): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  const extra: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(body)) {
    if (columns.includes(key)) values[key] = value
    else if (key !== 'id' && key !== 'links') extra[key] = value
  }
  return { ...values, extra }
}

export function crudPolicies<R>({ one, many, path, read, rule }: CrudSpec<R>): PolicyRule[] {
  const [a, b] = [rule ?? one, rule === undefined ? many : `${rule}s`]
  return [
    { name: `identity:get_${a}`, check: read, operations: [`GET ${path}/{id}`] },
    { name: `identity:list_${b}`, check: read, operations: [`GET ${path}`] },
    { name: `identity:create_${a}`, check: 'role:admin', operations: [`POST ${path}`] },
    { name: `identity:update_${a}`, check: 'role:admin', operations: [`PATCH ${path}/{id}`] },
    { name: `identity:delete_${a}`, check: 'role:admin', operations: [`DELETE ${path}/{id}`] },
  ]
}

export function crudRoutes<R extends { id: string }>(spec: CrudSpec<R>): Route[] {
  const { one, many, path, view, columns } = spec
  const [a, b] = [spec.rule ?? one, spec.rule === undefined ? many : `${spec.rule}s`]
  const store = (session: Remote<IdentitySession>) => spec.store(session) as PlainStore<R>
  // biome-ignore lint/suspicious/noExplicitAny: the schema has checked it.
  const given = (body: any) => split(body[one] as Record<string, unknown>, columns) as Partial<R>
  return [
    route({ method: 'POST', path, policy: `identity:create_${a}`, body: spec.create, status: 201, handle: async (ctx) => ({ [one]: view(await store(realmOf(ctx)).create(given(ctx.body)), rootUrl(ctx)) }) }),
    route({ method: 'GET', path, policy: `identity:list_${b}`, handle: async (ctx) => pagedView(ctx, many, (await store(realmOf(ctx)).list(pageQuery(ctx, spec.filters))).map((row) => view(row, rootUrl(ctx)))) }),
    route({ method: 'GET', path: `${path}/:id`, policy: `identity:get_${a}`, handle: async (ctx) => ({ [one]: view(await store(realmOf(ctx)).get(param(ctx, 'id')), rootUrl(ctx)) }) }),
    route({ method: 'PATCH', path: `${path}/:id`, policy: `identity:update_${a}`, body: spec.update, handle: async (ctx) => {
      sameId((ctx.body as Record<string, unknown>)[one], param(ctx, 'id'))
      return { [one]: view(await store(realmOf(ctx)).update(param(ctx, 'id'), given(ctx.body)), rootUrl(ctx)) }
    } }),
    route({ method: 'DELETE', path: `${path}/:id`, policy: `identity:delete_${a}`, handle: async (ctx) => await store(realmOf(ctx)).delete(param(ctx, 'id')) }),
  ]
}
