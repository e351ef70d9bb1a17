/** What identity's routes share: the caller's session on the Identity object, targets of foreign rows, links, lists. */
import { IDENTITY_NAME } from '../../../durable-objects/kernel/env.ts'
import { type Remote, partOn, sessionOn } from '../../../durable-objects/kernel/rpc.ts'
import type { Part } from '../../../durable-objects/identity/index.ts'
import type { IdentitySession } from '../../../durable-objects/identity/session.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import { nextUrl } from '../../http/pagination.ts'
import type { Target } from '../../http/policy.ts'
import { type ReplyBox, reply } from '../../http/route.ts'
import { type FieldKind, type ListQuery, listQuery } from './listing.ts'
import { identityOptions } from './options.ts'
import type { Page, PageForm } from './pages.ts'
import type { Login } from '../tokens/login.ts'

const opened = new WeakMap<Context, Remote<IdentitySession>>()

/** The caller's session: the object admits the caller at each call. */
export function realmOf(ctx: Context): Remote<IdentitySession> {
  let session = opened.get(ctx)
  if (session === undefined) {
    ctx.judged()
    session = sessionOn<IdentitySession>(ctx.env.IDENTITY.getByName(IDENTITY_NAME), ctx.caller)
    opened.set(ctx, session)
  }
  return session
}

/** The way in for those who have no token, or whose old password is the credential. */
export const loginOf = (ctx: Context): Remote<Login> => partOf<Login>(ctx, 'login')

/** What the Identity object does for those who have no session on it. */
export const partOf = <T>(ctx: Context, part: Part): Remote<T> => partOn<T, Part>(ctx.env.IDENTITY.getByName(IDENTITY_NAME), part)

/** Loads a row and authorizes on it. Who may see nothing of the kind gets 403 whether it exists or not (as upstream); who may gets the 404. */
export async function authorized<T>(ctx: Context, rule: string, load: Promise<T>, target: (row: T) => Target): Promise<T> {
  let row: T
  try {
    row = await load
  } catch (error) {
    if (isFault(error, 'not_found')) ctx.authorize(rule, {})
    throw error
  }
  ctx.authorize(rule, target(row))
  return row
}

export const rootUrl = (ctx: Context): string => `${ctx.origin}/identity/v3`

/** { <name>: rows, links }: every list of Keystone. */
export function listView(ctx: Context, name: string, rows: unknown[], extra: Record<string, unknown> = {}): Record<string, unknown> {
  return { [name]: rows, links: { next: null, self: `${ctx.origin}${ctx.url.pathname}${ctx.url.search}`, previous: null }, ...extra }
}

/** The rows that a list may have: what was asked for, within the deployment's limit. */
function pageSize(ctx: Context): { size: number; asked: boolean } {
  const { list_limit } = identityOptions(ctx.env)
  const { limit } = listQuery(ctx.url.searchParams, {})
  return limit === null ? { size: list_limit, asked: false } : { size: Math.min(limit, list_limit), asked: limit <= list_limit }
}

/** The filters of a list, and its page: one row more than may be shown, where nobody asked for so few, tells whether it is cut. */
export function pageQuery(ctx: Context, fields: Record<string, FieldKind>): ListQuery {
  const { size, asked } = pageSize(ctx)
  return { ...listQuery(ctx.url.searchParams, fields), limit: asked ? size : size + 1 }
}

/** A list that honours limit and marker: a full page names the next one, and one that the deployment's limit cut says so, as Keystone's list_limit. */
export function pagedView(ctx: Context, name: string, found: { id?: unknown }[]): Record<string, unknown> {
  const { size, asked } = pageSize(ctx)
  const rows = found.slice(0, size)
  const truncated = found.length > size
  const last = rows.at(-1)?.id
  const view = listView(ctx, name, rows, truncated ? { truncated } : {})
  if ((truncated || (asked && rows.length === size)) && typeof last === 'string') (view.links as { next: string | null }).next = nextUrl(ctx.origin, ctx.url, last)
  return view
}

/** How a page of rows is asked for where it is rendered in the object. */
export const pageForm = (ctx: Context): PageForm => ({ root: rootUrl(ctx), size: pageSize(ctx).size })

/** The same list from a page that the object has rendered. */
export function pageReply(ctx: Context, name: string, { rows, count, last, truncated }: Page): ReplyBox {
  const { size, asked } = pageSize(ctx)
  const next = (truncated || (asked && count === size)) && last !== null ? nextUrl(ctx.origin, ctx.url, last) : null
  const { links, ...others } = listView(ctx, name, [], truncated ? { truncated } : {})
  delete others[name]
  const rest = JSON.stringify({ links: { ...(links as object), next }, ...others })
  return reply({ headers: { 'content-type': 'application/json' }, body: `{${JSON.stringify(name)}:${rows},${rest.slice(1)}` })
}

/** The id in a body is the one in the path, or none. */
export function sameId(given: unknown, id: string): void {
  const own = (given as { id?: unknown }).id
  if (own !== undefined && own !== id) throw new Fault('bad_request', 'Cannot change ID')
}

export const param = (ctx: Context, name: string): string => decodeURIComponent(ctx.params[name] ?? '')

/** Keystone's query booleans: absent value, 'true', '1', 'yes'... are true; '0', 'false' are false. */
export function flag(query: URLSearchParams, name: string): boolean {
  const text = query.get(name)
  return text !== null && !['0', 'false', 'no', 'off'].includes(text.toLowerCase())
}
