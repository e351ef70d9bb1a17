/**
 * Object storage: Swift's API v1. Paths are split by hand, for names hold anything; every route is public to the kernel, and who may do what is decided here by role, ACL or
 * signature (request.ts), with the rules of policy.ts.
 */
import { type Method, type Route, route } from '../http/route.ts'
import type { Service } from '../http/service.ts'
import { deleteAccount, getAccount, headAccount, postAccount, putAccount } from './account/routes.ts'
import { deleteContainer, getContainer, headContainer, postContainer, putContainer } from './container/routes.ts'
import { gate } from './features/gate.ts'
import { remapped } from './features/domain-remap.ts'
import { quoted } from './features/etag-quoter.ts'
import { formPost } from './features/formpost.ts'
import { staticWebObject } from './features/staticweb.ts'
import { isSynced, receiveDelete, receiveHead, receivePut } from './features/sync-receive.ts'
import { tempUrl, tempUrlHeaders } from './features/tempurl.ts'
import type { Env } from '../../durable-objects/kernel/env.ts'
import { isFault } from '../../schema/values/fault.ts'
import { cors, preflight } from './features/cors.ts'
import { capabilities } from './info.ts'
import { sized } from './listing.ts'
import { splitPath } from './names.ts'
import { getObject } from './object/get.ts'
import { copyObject, deleteObject, postObject, putObject } from './object/put.ts'
import { policies } from './policy.ts'
import { type SwiftRequest, plain, swift } from './request.ts'

type Handler = (request: SwiftRequest) => Promise<Response>

/** Reads of a site's objects fall back to its pages. */
const readObject: Handler = async (request) => {
  try {
    return await getObject(request)
  } catch (error) {
    if (!isFault(error, 'not_found')) throw error
    const page = await staticWebObject(request)
    if (page === null) throw error
    return page
  }
}

const postToObject: Handler = (request) => (/^multipart\/form-data/i.test(request.headers.get('content-type') ?? '') ? formPost(request) : postObject(request))

/** Object requests may carry a signature instead of a token. */
const signed = (work: Handler): Handler => async (request) => {
  await tempUrl(request)
  const response = await work(request)
  return request.grant !== null && request.query.has('temp_url_sig') ? tempUrlHeaders(request, response) : response
}

/** What another cluster copies here brings a signature of its own. */
const synced = (receive: Handler, work: Handler): Handler => (request) => (isSynced(request) ? receive(request) : work(request))

const levels: Record<'account' | 'container' | 'object', { path: string; handlers: Partial<Record<Method, Handler>> }> = {
  account: { path: '/v1/:account', handlers: { HEAD: headAccount, GET: getAccount, POST: postAccount, PUT: putAccount, DELETE: deleteAccount, OPTIONS: preflight } },
  container: { path: '/v1/:account/:container', handlers: { HEAD: headContainer, GET: getContainer, POST: postContainer, PUT: putContainer, DELETE: deleteContainer, OPTIONS: preflight } },
  object: { path: '/v1/:account/:container/:object', handlers: { HEAD: synced(receiveHead, signed(readObject)), GET: signed(readObject), PUT: synced(receivePut, signed(putObject)), POST: signed(postToObject), DELETE: synced(receiveDelete, signed(deleteObject)), COPY: copyObject, OPTIONS: preflight } },
}

const gated = (work: Handler): Handler => async (request) => {
  await gate(request)
  return await work(request)
}

const routesOf = (level: keyof typeof levels): Route[] =>
  Object.entries(levels[level].handlers).map(([method, handler]) => route({ method: method as Method, path: levels[level].path, policy: 'public', body: 'stream', handle: swift(level === 'object' ? quoted(cors(gated(handler))) : cors(gated(handler))) }))

const fixedText = (path: string, type: string, text: (env: Env) => string): Route => route({ method: 'GET', path, policy: 'public', handle: plain((ctx) => (ctx.request.method === 'HEAD' ? new Response(null, { headers: { 'content-type': type } }) : sized(text(ctx.env), { 'content-type': type }))) })

const CROSSDOMAIN = '<?xml version="1.0"?>\n<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd" >\n<cross-domain-policy>\n<site-control permitted-cross-domain-policies="none"/>\n</cross-domain-policy>'

const byLevel = { account: routesOf('account'), container: routesOf('container'), object: routesOf('object') }
const fixedRoutes: Route[] = [
  fixedText('/info', 'application/json; charset=UTF-8', (env) => JSON.stringify(capabilities(env))),
  fixedText('/healthcheck', 'text/plain; charset=UTF-8', () => 'OK'),
  fixedText('/crossdomain.xml', 'application/xml; charset=UTF-8', () => CROSSDOMAIN),
]

export const object: Service = {
  name: 'swift', type: 'object-store', prefix: '/object-store', endpoint: '/object-store/v1/AUTH_{project_id}', dialect: 'swift', policies,
  routes: [...fixedRoutes, ...byLevel.account, ...byLevel.container, ...byLevel.object],
  locate: (env, url) => remapped(env, url.host, url.pathname),
  match(path) {
    const fixed = fixedRoutes.filter((one) => one.path === path)
    if (fixed.length > 0) return fixed.map((one) => ({ route: one, params: {} }))
    const parts = splitPath(path)
    if (parts === null) return []
    const params = { account: parts.account, ...(parts.container === null ? {} : { container: parts.container }), ...(parts.object === null ? {} : { object: parts.object }) }
    return byLevel[parts.object !== null ? 'object' : parts.container !== null ? 'container' : 'account'].map((one) => ({ route: one, params }))
  },
}
