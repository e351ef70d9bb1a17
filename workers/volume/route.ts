/**
 * Routes of this service live under /v3/{project_id}, which must be the token's project, and from 3.67 on also without it (cinder/api/__init__.py). One declaration
 * makes both.
 */
import type { Context } from '../http/context.ts'
import { type Route, route } from '../http/route.ts'
import { Fault } from '../../schema/values/fault.ts'

const WITHOUT_PROJECT_FROM = 67

type Spec<S extends Route['body']> = Parameters<typeof route<S>>[0]

export function both<const S extends Route['body'] = undefined>(spec: Spec<S>): Route[] {
  const plain = route(spec)
  const checked = (ctx: Context) => {
    if (ctx.params.project_id !== ctx.caller.project_id) throw new Fault('bad_request', 'Malformed request url')
    return plain.handle(ctx)
  }
  const low = plain.versions?.[0] ?? 0
  return [
    { ...plain, path: `/v3/:project_id${plain.path}`, handle: checked },
    { ...plain, path: `/v3${plain.path}`, versions: [Math.max(low, WITHOUT_PROJECT_FROM), plain.versions?.[1] ?? null] },
  ]
}

/** Where links of this service point. */
export const baseUrl = (ctx: Context): string => `${ctx.origin}/volume/v3/${ctx.projectId}`
export const bookmarkUrl = (ctx: Context): string => `${ctx.origin}/volume/${ctx.projectId}`

export const linksOf = (base: { self: string; bookmark: string }, collection: string, id: string) => [
  { rel: 'self', href: `${base.self}/${collection}/${id}` },
  { rel: 'bookmark', href: `${base.bookmark}/${collection}/${id}` },
]

export const basesOf = (ctx: Context): { self: string; bookmark: string } => ({ self: baseUrl(ctx), bookmark: bookmarkUrl(ctx) })

export const param = (ctx: Context, name: string): string => {
  try {
    return decodeURIComponent(ctx.params[name] ?? '')
  } catch {
    throw new Fault('bad_request', 'Malformed request url')
  }
}
