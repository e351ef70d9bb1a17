/** A container as a web site: index pages, listings, error pages (swift/common/middleware/staticweb.py). For anonymous readers, or where X-Web-Mode says so. */
import { swiftFault } from '../errors.ts'
import { isTrue } from '../headers.ts'
import { isSubdir } from '../list.ts'
import { sized } from '../listing.ts'
import { PREFIX, containerKey, quotePath } from '../names.ts'
import { respondObject } from '../object/get.ts'
import { openObject } from '../object/large.ts'
import type { SwiftRequest } from '../request.ts'
import { listingTime } from '../timestamp.ts'

const LISTED_MAX = 10_000
const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char] ?? char)

interface Site {
  index: string | null
  listings: boolean
  css: string | null
  error: string | null
}

async function siteOf(request: SwiftRequest): Promise<Site | null> {
  if (!request.isRead || request.grant !== null || (request.caller !== null && !request.flag('x-web-mode'))) return null
  const metadata = (await request.containerInfo())?.metadata
  if (metadata === undefined) return null
  const of = (name: string) => metadata[`x-container-meta-web-${name}`]?.trim() || null
  const site: Site = { index: of('index'), listings: isTrue(of('listings')), css: of('listings-css'), error: of('error') }
  return site.index === null && !site.listings && site.error === null ? null : site
}

const withSlash = (request: SwiftRequest): Response => new Response(null, { status: 301, headers: { location: `${request.ctx.origin}${PREFIX}${request.path}/` } })

/** GET of the container itself. Null: not a site. */
export async function staticWebContainer(request: SwiftRequest): Promise<Response | null> {
  const site = await siteOf(request)
  if (site === null || (site.index === null && !site.listings)) return null
  if (!request.path.endsWith('/')) return withSlash(request)
  return await directory(request, site, '')
}

async function directory(request: SwiftRequest, site: Site, prefix: string): Promise<Response> {
  if (site.index !== null) {
    const page = await openPage(request, `${prefix}${site.index}`)
    if (page !== null) return await respondObject(request, page)
  }
  if (site.listings) return await listing(request, site, prefix)
  return await errorPage(request, site, 404)
}

/** A public object of the container, or null. */
async function openPage(request: SwiftRequest, object: string) {
  await request.needIn('object', 'get', request.container, object)
  return await openObject(request, { account: request.names.account, container: request.container, object }, { withBody: request.headers.get('range') === null && request.request.method === 'GET' })
}

async function listing(request: SwiftRequest, site: Site, prefix: string): Promise<Response> {
  await request.needIn('container', 'get', request.container, null)
  const { entries } = await request.env.CONTAINER.getByName(containerKey(request.names.account, request.container)).list({ limit: LISTED_MAX, marker: '', end_marker: '', prefix, delimiter: '/', reverse: false, path: null })
  if (entries.length === 0 && prefix !== '') return await errorPage(request, site, 404)
  const title = escapeHtml(`Listing of ${PREFIX}${decodeURIComponent(request.path)}`)
  const depth = prefix.split('/').length - 1
  const css = site.css === null ? '' : /^(https?:)?\/\//.test(site.css) || site.css.startsWith('/') ? site.css : `${'../'.repeat(depth)}${quotePath(site.css)}`
  const rows = entries.map((entry) => {
    const name = (isSubdir(entry) ? entry.subdir : entry.name).slice(prefix.length)
    const cells = isSubdir(entry) ? ['subdir', '', ''] : [`item type-${entry.content_type.split(';')[0]?.replace(/[^a-z0-9]+/gi, '-') ?? ''}`, String(entry.size), listingTime(entry.modified_at).slice(0, 19).replace('T', ' ')]
    return `   <tr class="${escapeHtml(cells[0] ?? '')}"><td class="colname"><a href="${escapeHtml(quotePath(name))}">${escapeHtml(name)}</a></td><td class="colsize">${cells[1]}</td><td class="coldate">${cells[2]}</td></tr>`
  })
  const up = prefix === '' ? '' : '   <tr id="parent" class="item"><td class="colname"><a href="../">../</a></td><td class="colsize">&nbsp;</td><td class="coldate">&nbsp;</td></tr>\n'
  const style = css === '' ? '  <style type="text/css">h1 {font-size: 1em; font-weight: bold} th {text-align: left; padding: 0px 1em} td {padding: 0px 1em} a {text-decoration: none}</style>' : `  <link rel="stylesheet" type="text/css" href="${escapeHtml(css)}" />`
  const html = `<!DOCTYPE html>\n<html>\n <head>\n  <title>${title}</title>\n${style}\n </head>\n <body>\n  <h1 id="title">${title}</h1>\n  <table id="listing">\n   <tr id="heading"><th class="colname">Name</th><th class="colsize">Size</th><th class="coldate">Date</th></tr>\n${up}${rows.join('\n')}\n  </table>\n </body>\n</html>\n`
  return sized(html, { 'content-type': 'text/html; charset=UTF-8' })
}

async function errorPage(request: SwiftRequest, site: Site, status: 401 | 404): Promise<Response> {
  if (site.error !== null && request.request.method === 'GET') {
    const page = await openPage(request, `${status}${site.error}`).catch(() => null)
    if (page !== null) {
      const response = await respondObject(request, page)
      return new Response(response.body, { status, headers: response.headers })
    }
  }
  throw swiftFault(status)
}

/** After an object was not found: a directory of the site, or its error page. */
export async function staticWebObject(request: SwiftRequest): Promise<Response | null> {
  const site = await siteOf(request)
  if (site === null) return null
  const { object } = request.objectName
  if (object.endsWith('/')) return await directory(request, site, object)
  if (site.index !== null || site.listings) {
    const { entries } = await request.env.CONTAINER.getByName(containerKey(request.names.account, request.container)).list({ limit: 1, marker: '', end_marker: '', prefix: `${object}/`, delimiter: '', reverse: false, path: null })
    if (entries.length > 0) return withSlash(request)
  }
  return await errorPage(request, site, 404)
}
