/** The dashboard's pages and files: texts of the bundle, the same for everybody. What they show, they ask the public APIs for, with the user's own token. */
import { Fault } from '../../schema/values/fault.ts'
import type { Context } from '../http/context.ts'
import { reply, route } from '../http/route.ts'
import { assetResponse } from './assets.ts'
import { FILES } from './built.js'

function file(ctx: Context, name: string) {
  const found = Object.hasOwn(FILES, name) ? FILES[name] : undefined
  if (found === undefined) throw new Fault('not_found', 'The dashboard has no such page.')
  return reply(assetResponse(name, found, ctx.request.headers.get('if-none-match')))
}

/** Pages by their address; the console pages' is part of the URLs that Nova gives out. */
const PAGES: Record<string, string> = { '/': 'index.html', '/vnc.html': 'vnc.html', '/serial.html': 'serial.html' }

export const routes = [
  ...Object.entries(PAGES).map(([path, name]) => route({ method: 'GET', path, policy: 'public', handle: (ctx) => file(ctx, name) })),
  route({
    method: 'GET', path: '/assets/:name', policy: 'public',
    handle: (ctx) => {
      if (ctx.params.name?.endsWith('.html')) throw new Fault('not_found', 'The dashboard has no such page.')
      return file(ctx, ctx.params.name ?? '')
    },
  }),
]
