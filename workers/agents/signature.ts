/** Host signatures: `Authorization: Skyhook-Host <host id>:<timestamp ms>:<base64url Ed25519 over "METHOD\npath?query\ntimestamp">`. */
import { type Env, REGION_OBJECT_NAME } from '../../durable-objects/kernel/env.ts'
import { Fault } from '../../schema/values/fault.ts'
import { importPublicKey } from '../../schema/values/token.ts'

export const SIGNATURE_SKEW_MS = 5 * 60_000

const refused = (why: string) => new Fault('unauthorized', `The host's signature was refused: ${why}.`)
const fromBase64Url = (text: string) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (char) => char.charCodeAt(0))

/** Keys as imported: importing costs as much as a signature's check. */
const imported = new Map<string, Promise<CryptoKey>>()
const IMPORTED_MAX = 1_000

function keyFor(x: string): Promise<CryptoKey> {
  const found = imported.get(x) ?? importPublicKey({ kid: 'host', x })
  if (imported.size >= IMPORTED_MAX) imported.clear()
  imported.set(x, found)
  return found
}

/** The id of the host that signed the request; Fault unauthorized otherwise. */
export const signingHost = (env: Env, request: Request, now_ms: number): Promise<string> =>
  signedBy(request, now_ms, async (hostId) => (await env.REGION.getByName(REGION_OBJECT_NAME).hostKey(hostId))?.public_key ?? null)

/** The same for those who know the keys otherwise. */
export async function signedBy(request: Request, now_ms: number, keyOf: (hostId: string) => Promise<string | null>): Promise<string> {
  const match = /^Skyhook-Host ([0-9a-f-]{36}):(\d{1,16}):([A-Za-z0-9_-]{86})$/.exec(request.headers.get('authorization') ?? '')
  if (match === null) throw refused('it is missing or malformed')
  const [, hostId = '', timestamp = '', signature = ''] = match
  if (Math.abs(Number(timestamp) - now_ms) > SIGNATURE_SKEW_MS) throw refused('its time is too far from the plane\'s; check the clock')
  const known = await keyOf(hostId)
  if (known === null) throw refused('the host is not known here; join it again')
  const url = new URL(request.url)
  const key = await keyFor(known)
  const signed = new TextEncoder().encode(`${request.method}\n${url.pathname}${url.search}\n${timestamp}`)
  if (!(await crypto.subtle.verify('Ed25519', key, fromBase64Url(signature), signed))) throw refused('it does not hold')
  return hostId
}
