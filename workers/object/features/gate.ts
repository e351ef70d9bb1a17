/** Before anything else is done for a request: is writing allowed here (swift/common/middleware/read_only.py), and is it this caller's turn (ratelimit.py)? */
import { systemTimers } from '../../../durable-objects/kernel/env.ts'
import { swiftFault } from '../errors.ts'
import { isTrue } from '../headers.ts'
import { containerKey, decodeName } from '../names.ts'
import { swiftOptions } from '../options.ts'
import type { SwiftRequest } from '../request.ts'
import { BUFFER_S, SLEEP_MAX_S, rateFor } from '../throttle.ts'

/** What it needs of a request, whichever dialect it came in. */
export type Gated = Pick<SwiftRequest, 'request' | 'env' | 'headers' | 'names' | 'isReseller' | 'account' | 'containerInfo'>

const WRITES = ['PUT', 'POST', 'DELETE', 'COPY']

export async function gate(request: Gated): Promise<void> {
  await checkWritable(request)
  await rateLimit(request)
}

async function checkWritable(request: Gated): Promise<void> {
  const { method } = request.request
  const options = swiftOptions(request.env)
  if (!WRITES.includes(method) || (method === 'DELETE' && options.allow_deletes === true)) return
  // What an account or container says of itself goes before what is said of all; only its operator can change that, and must be able to.
  if (method === 'POST' && request.names.object === null && request.isReseller) return
  const given = method === 'COPY' ? request.headers.get('destination-account') : null
  const info = await request.account(given === null ? request.names.account : decodeName(given))
  if (info?.deleted_ms != null && !request.isReseller) throw swiftFault(410)
  const own = info?.metadata['x-account-sysmeta-read-only']
  if (own === undefined || own === '' ? options.read_only === true : isTrue(own)) throw swiftFault(405, 'Writes are disabled for this account.')
  const { container } = request.names
  if (container === null) return
  const there = method === 'COPY' ? decodeName(request.headers.get('destination') ?? '').replace(/^\//, '').split('/', 1)[0] : container
  if (there !== undefined && there !== '' && isTrue((await request.containerInfo(there, given === null ? request.names.account : decodeName(given)))?.metadata['x-container-sysmeta-read-only'])) throw swiftFault(405, 'Writes are disabled for this container.')
}

async function rateLimit(request: Gated): Promise<void> {
  const limits = swiftOptions(request.env).ratelimit
  if (limits === undefined) return
  const { method } = request.request
  const { account, container, object } = request.names
  const isWrite = WRITES.includes(method)
  if (!isWrite && !(method === 'GET' && container !== null && object === null)) return
  const global = (await request.account())?.metadata['x-account-sysmeta-global-write-ratelimit']
  if (global === 'WHITELIST' || limits.account_whitelist?.includes(account) === true) return
  if (global === 'BLACKLIST' || limits.account_blacklist?.includes(account) === true) throw swiftFault(497, 'Your account has been blacklisted')
  const rate = (per_s: number) => ({ per_s, sleep_max_s: limits.max_sleep_time_seconds ?? SLEEP_MAX_S, buffer_s: limits.rate_buffer_seconds ?? BUFFER_S })
  const takes: Promise<number | null>[] = []
  const ofAccount = request.env.ACCOUNT.getByName(account)
  if (container !== null && object === null && (method === 'PUT' || method === 'DELETE') && (limits.account_ratelimit ?? 0) > 0) takes.push(ofAccount.throttle('containers', rate(limits.account_ratelimit ?? 0)))
  if (container !== null && (object !== null ? isWrite : method === 'GET')) {
    const per_s = rateFor(limits, object !== null ? 'container_ratelimit' : 'container_listing_ratelimit', (await request.containerInfo())?.object_count ?? 0)
    if (per_s !== null) takes.push(request.env.CONTAINER.getByName(containerKey(account, container)).throttle(object !== null ? 'objects' : 'listing', rate(per_s)))
  }
  if (isWrite && Number(global) > 0) takes.push(ofAccount.throttle('writes', rate(Number(global))))
  const waits = await Promise.all(takes)
  if (waits.includes(null)) throw swiftFault(498, 'Slow down')
  const wait = Math.max(0, ...waits.map((one) => one ?? 0))
  if (wait > 0) await new Promise<void>((resolve) => void (request.env.SIM?.timers ?? systemTimers).after(wait, resolve))
}
