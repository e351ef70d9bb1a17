/** Temporary URLs: method, expiry and path signed with an account's or container's key (swift/common/middleware/tempurl.py). */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { contains, parseCidr, parseIp } from '../../../schema/values/ip.ts'
import { swiftFault } from '../errors.ts'
import type { Grant, SwiftRequest } from '../request.ts'
import { PREFIX } from '../names.ts'
import { swiftOptions } from '../options.ts'

export const DIGESTS = ['sha1', 'sha256', 'sha512'] as const
type Digest = (typeof DIGESTS)[number]

/** Hex by length, or 'sha256:base64'. */
export function parseSignature(text: string): { digest: Digest; bytes: Buffer } | null {
  if (/^[0-9a-f]+$/i.test(text)) {
    const digest = ({ 40: 'sha1', 64: 'sha256', 128: 'sha512' } as const)[text.length as 40]
    return digest === undefined ? null : { digest, bytes: Buffer.from(text, 'hex') }
  }
  const match = /^(sha1|sha256|sha512):([A-Za-z0-9+/_-]+=*)$/.exec(text)
  if (match === null) return null
  return { digest: match[1] as Digest, bytes: Buffer.from((match[2] ?? '').replace(/-/g, '+').replace(/_/g, '/'), 'base64') }
}

export function verifies(keys: string[], signature: { digest: Digest; bytes: Buffer }, texts: string[]): boolean {
  let good = false
  for (const key of keys) {
    for (const text of texts) {
      const expected = createHmac(signature.digest, key).update(text).digest()
      if (expected.byteLength === signature.bytes.byteLength && timingSafeEqual(expected, signature.bytes)) good = true
    }
  }
  return good
}

/** Keys of the account and of the container, each with how far it reaches. */
export async function signingKeys(request: SwiftRequest): Promise<{ scope: Grant['scope']; keys: string[] }[]> {
  const [account, container] = await Promise.all([request.account(), request.containerInfo()])
  const keysOf = (metadata: Record<string, string> | undefined, level: string) => [metadata?.[`x-${level}-meta-temp-url-key`], metadata?.[`x-${level}-meta-temp-url-key-2`]].filter((key): key is string => key !== undefined && key !== '')
  return [{ scope: 'account', keys: keysOf(account?.metadata, 'account') }, { scope: 'container', keys: keysOf(container?.metadata, 'container') }]
}

/** Clients sign the path they call; tools that know no mount point sign it without. */
export const signedPaths = (path: string): string[] => [`${PREFIX}${path}`, path]

export function expiresOf(text: string): number | null {
  if (/^\d+$/.test(text)) return Number(text)
  const ms = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) ? null : Math.floor(ms / 1000)
}

/** Turns a valid signature into a grant; a wrong one is a 401, whatever else the request has. */
export async function tempUrl(request: SwiftRequest): Promise<void> {
  const [sig, expires] = [request.query.get('temp_url_sig'), request.query.get('temp_url_expires')]
  if (sig === null && expires === null) return
  const invalid = () => swiftFault(401, 'Temp URL invalid')
  const { account, container, object } = request.names
  const signature = sig === null ? null : parseSignature(sig)
  const until = expires === null ? null : expiresOf(expires)
  if (signature === null || until === null || until < request.now_s || container === null || object === null) throw invalid()
  const method = request.request.method
  if (!['GET', 'HEAD', 'PUT', 'POST', 'DELETE'].includes(method)) throw invalid()
  // Either would make what the key's owner did not name readable under a name of theirs.
  for (const name of ['X-Object-Manifest', 'X-Symlink-Target', 'X-Copy-From']) if (['PUT', 'POST'].includes(method) && request.headers.get(name) !== null) throw swiftFault(400, `The header ${JSON.stringify(name)} is not allowed in this tempurl`)
  const prefix = request.query.get('temp_url_prefix')
  if (prefix !== null && !object.startsWith(prefix)) throw invalid()
  const range = request.query.get('temp_url_ip_range')
  if (range !== null && !inRange(clientAddress(request), range)) throw invalid()
  const raw = request.path
  const paths = prefix === null ? signedPaths(raw) : signedPaths(`/v1/${request.names.account}/${container}/${prefix}`).map((path) => `prefix:${path}`)
  const methods = method === 'HEAD' ? ['HEAD', 'GET', 'PUT', 'POST'] : [method]
  const texts = methods.flatMap((one) => paths.flatMap((path) => [...new Set([path, safeDecode(path)])].map((each) => `${range === null ? '' : `ip=${range}\n`}${one}\n${expires}\n${each}`)))
  const found = (await signingKeys(request)).find(({ keys }) => verifies(keys, signature, texts))
  if (found === undefined) throw invalid()
  request.caller = null
  request.grant = { method, account, container, object: prefix ?? object, prefix: prefix !== null, scope: found.scope }
}

const safeDecode = (path: string): string => {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/**
 * The client's address: on one machine workerd tells the peer's (with its port), at the edge only Cloudflare sets CF-Connecting-IP. Whatever else a client writes into
 * headers says nothing, unless the operator names the header of a proxy of theirs.
 */
export function clientAddress(request: Pick<SwiftRequest, 'env' | 'headers' | 'request'>): string {
  const trusted = swiftOptions(request.env).client_ip_header
  if (trusted !== undefined) return (request.headers.get(trusted) ?? '').split(',').at(-1)?.trim() ?? ''
  const peer = (request.request as { cf?: { clientIp?: string } }).cf?.clientIp
  return peer === undefined ? (request.headers.get('cf-connecting-ip') ?? '') : peer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1').replace(/^::ffff:(?=\d+\.)/, '')
}

export function inRange(client: string, range: string): boolean {
  const [ip, cidr] = [parseIp(client), parseCidr(range)]
  return ip !== null && cidr !== null && contains(cidr, ip)
}

/** How the bytes are offered, and which of the object's metadata a stranger may not see. */
export function tempUrlHeaders(request: SwiftRequest, response: Response): Response {
  const headers = new Headers(response.headers)
  for (const name of [...headers.keys()]) if (name.startsWith('x-object-meta-') && !name.startsWith('x-object-meta-public-')) headers.delete(name)
  if (request.isRead && response.status < 300) {
    const given = request.query.get('filename')
    const inline = request.query.has('inline')
    const name = given ?? request.names.object?.split('/').filter((part) => part !== '').at(-1) ?? 'download'
    const disposition = `filename="${name.replace(/["\\\r\n]/g, '_').replace(/[^\x20-\x7e]/g, '?')}"; filename*=UTF-8''${encodeURIComponent(name)}`
    if (inline) headers.set('content-disposition', given === null ? 'inline' : `inline; ${disposition}`)
    else if (given !== null || !headers.has('content-disposition')) headers.set('content-disposition', `attachment; ${disposition}`)
    headers.set('expires', new Date((expiresOf(request.query.get('temp_url_expires') ?? '') ?? 0) * 1000).toUTCString())
  }
  return new Response(response.body, { status: response.status, headers })
}
