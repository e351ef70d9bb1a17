/**
 * Etags in quotes, as RFC 9110 (8.8.3) has them and some CDNs insist on, where the owner of a container or of an account asked for it (X-Container-Rfc-Compliant-Etags and
 * X-Account-Rfc-Compliant-Etags, true or false; the container's word counts first). Swift's own answers have them bare.
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { type Metadata, isTrue } from '../headers.ts'
import { swiftOptions } from '../options.ts'
import type { SwiftRequest } from '../request.ts'

const QUOTED = /^(W\/)?".*"$/s

const headerOf = (kind: 'account' | 'container'): string => `x-${kind}-rfc-compliant-etags`

/** Headers that a PUT or POST of an account or a container may set, where the operator has this switched on. */
export const etagHeaders = (env: Env, kind: 'account' | 'container'): string[] => (swiftOptions(env).etag_quoter === undefined ? [] : [headerOf(kind)])

/** Kept as upstream shows it: True or False; empty is unset. */
export function cleanEtagFlag(changes: Metadata, kind: 'account' | 'container'): void {
  const value = changes[headerOf(kind)]
  if (value !== undefined && value !== '') changes[headerOf(kind)] = isTrue(value) ? 'True' : 'False'
}

async function isWanted(request: SwiftRequest, enabled: boolean): Promise<boolean> {
  const container = await request.containerInfo()
  if (container === null) return false
  const flag = container.metadata[headerOf('container')] ?? (await request.account())?.metadata[headerOf('account')]
  return flag === undefined ? enabled : isTrue(flag)
}

/** What an object's handler answers, with its Etag quoted where that is wanted. */
export const quoted = (work: (request: SwiftRequest) => Promise<Response>) => async (request: SwiftRequest): Promise<Response> => {
  const response = await work(request)
  const options = swiftOptions(request.env).etag_quoter
  const etag = response.headers.get('etag')
  if (options === undefined || etag === null || QUOTED.test(etag) || !(await isWanted(request, options.enable_by_default === true))) return response
  const headers = new Headers(response.headers)
  headers.set('etag', `"${etag}"`)
  return new Response(response.body, { status: response.status, headers })
}
