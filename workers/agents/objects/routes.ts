/** Paths of hosts with object disks, each request signed by the host. */
import { safeParse } from 'valibot'
import type { HostSync, ListingEntry, ListingUpdate } from '../../../schema/agent/replication.ts'
import type { SealedEntry } from '../../../schema/agent/sealing.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { route } from '../../http/route.ts'
import { signingHost } from '../signature.ts'
import { fragmentQuery, listingsRequest, queryRequest, relayRequest, resealRequest, syncRequest, updatesRequest } from './requests.ts'
import { hostFragment, hostListings, hostQuery, hostRelay, hostReseal, hostSync, hostUpdates } from './serve.ts'

function fragmentOf(query: URLSearchParams) {
  const parsed = safeParse(fragmentQuery, Object.fromEntries(query))
  if (!parsed.success) throw new Fault('bad_request', 'A fragment is named by device, policy, partition, hash, timestamp and its number.')
  return parsed.output
}

export const routes = [
  route({
    method: 'POST', path: '/v1/objects/sync', policy: 'public', body: syncRequest,
    handle: async ({ env, request, body, now_ms }) => await hostSync(env, await signingHost(env, request, now_ms), body as unknown as HostSync),
  }),
  route({
    method: 'POST', path: '/v1/objects/peers/:id/query', policy: 'public', body: queryRequest,
    // An answer may be a text by itself, and is JSON all the same.
    handle: async ({ env, request, params, body, now_ms }) => Response.json(await hostQuery(env, await signingHost(env, request, now_ms), params.id ?? '', body.query, now_ms)),
  }),
  route({
    method: 'POST', path: '/v1/objects/peers/:id/relay', policy: 'public', body: relayRequest,
    handle: async ({ env, request, params, body, now_ms }) => await hostRelay(env, await signingHost(env, request, now_ms), params.id ?? '', body.from, body.to, now_ms),
  }),
  route({
    method: 'GET', path: '/v1/objects/peers/:id/fragment', policy: 'public',
    handle: async ({ env, request, params, query, now_ms }) => await hostFragment(env, await signingHost(env, request, now_ms), params.id ?? '', fragmentOf(query), now_ms),
  }),
  route({
    method: 'POST', path: '/v1/objects/updates', policy: 'public', body: updatesRequest,
    handle: async ({ env, request, body, now_ms }) => await hostUpdates(env, await signingHost(env, request, now_ms), body.updates as ListingUpdate[], now_ms),
  }),
  route({
    method: 'POST', path: '/v1/objects/listings', policy: 'public', body: listingsRequest,
    handle: async ({ env, request, body, now_ms }) => await hostListings(env, await signingHost(env, request, now_ms), body.entries as ListingEntry[], now_ms),
  }),
  route({
    method: 'POST', path: '/v1/objects/reseal', policy: 'public', body: resealRequest,
    handle: async ({ env, request, body, now_ms }) => await hostReseal(env, await signingHost(env, request, now_ms), body.entries as SealedEntry[], now_ms),
  }),
]
