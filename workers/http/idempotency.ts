/** Idempotency-Key on any POST: the ledger of the caller's own object decides whether this request runs or an earlier answer is given again. */
import type { IDEMPOTENCY_KEY_CHARS_MAX as Max, LedgerAnswer, LedgerReply } from '../../durable-objects/kernel/idempotency.ts'
import type { Caller } from '../../schema/values/caller.ts'
import { Fault } from '../../schema/values/fault.ts'

const KEY_CHARS_MAX: typeof Max = 255
/** Answers larger than this are not kept; no JSON answer of a create is. */
const REPLY_CHARS_MAX = 256 * 1024

export interface LedgerKey {
  key: string
  fingerprint: string
  caller: Caller
  /** The request with its body still readable. */
  request: Request
}

interface Ledger {
  idempotencyBegin(key: string, fingerprint: string, request_id: string, caller: Caller): Promise<LedgerAnswer>
  idempotencyFinish(key: string, reply: LedgerReply | null): Promise<void>
}

const hex = (bytes: ArrayBuffer) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('')

export async function ledgerKey(request: Request, caller: Caller, service: string): Promise<LedgerKey | null> {
  const given = request.headers.get('idempotency-key')
  if (given === null) return null
  if (given === '' || given.length > KEY_CHARS_MAX) throw new Fault('bad_request', `Idempotency-Key must have 1 to ${KEY_CHARS_MAX} characters.`)
  const body = await request.arrayBuffer()
  const head = new TextEncoder().encode(`${request.method} ${new URL(request.url).pathname}${new URL(request.url).search}\n${request.headers.get('openstack-api-version') ?? ''}\n`)
  const all = new Uint8Array(head.byteLength + body.byteLength)
  all.set(head)
  all.set(new Uint8Array(body), head.byteLength)
  return {
    key: `${service}:${caller.user_id}:${given}`,
    caller,
    fingerprint: hex(await crypto.subtle.digest('SHA-256', all)),
    request: new Request(request.url, { method: request.method, headers: request.headers, body }),
  }
}

export async function keepReply(ledger: Ledger, key: LedgerKey, requestId: string, run: () => Promise<Response>): Promise<Response> {
  const answer = await ledger.idempotencyBegin(key.key, key.fingerprint, requestId, key.caller)
  if (answer.state === 'replay') {
    const headers = new Headers(answer.reply.headers)
    headers.set('idempotency-replayed', 'true')
    return new Response(answer.reply.body === '' ? null : answer.reply.body, { status: answer.reply.status, headers })
  }
  const response = await run()
  const body = await response.text()
  const keep = response.status < 500 && response.status !== 429 && body.length <= REPLY_CHARS_MAX
  await ledger.idempotencyFinish(key.key, keep ? { status: response.status, headers: [...response.headers] as [string, string][], body } : null)
  return new Response(body === '' ? null : body, { status: response.status, headers: response.headers })
}
