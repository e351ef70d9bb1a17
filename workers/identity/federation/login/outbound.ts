/**
 * Requests to identity providers. Where they go was written by an administrator or by a provider's own discovery document, and both may be wrong or hostile: https only (plain http and loopback
 * where the deployment says so), no redirect is followed, nothing is waited for long, and no answer is read beyond a bound.
 */
import { Fault } from '../../../../schema/values/fault.ts'

export interface OutboundRules {
  loopback_issuers: boolean
}

export const ANSWER_BYTES_MAX = 512 * 1024
export const ANSWER_TIMEOUT_MS = 5_000

const LOOPBACK = /^(127(\.\d{1,3}){3}|\[::1\]|localhost)$/
/** Of no provider, and of many things that trust whoever reaches them: metadata services, this network, multicast. */
const FORBIDDEN = /^(0\.|169\.254\.|22[4-9]\.|23\d\.|\[::\]$|\[fe[89ab]|\[ff|\[::ffff:)/i

/** 400 for a URL that must not be asked. */
export function checkUrl(text: string, rules: OutboundRules): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new Fault('bad_request', `'${text.slice(0, 200)}' is not a URL.`)
  }
  const local = LOOPBACK.test(url.hostname)
  const bad = (why: string) => new Fault('bad_request', `${url.origin} cannot be an identity provider's address: ${why}.`)
  if (url.username !== '' || url.password !== '') throw bad('it has a user name or a password in it')
  if (FORBIDDEN.test(url.hostname)) throw bad('no provider is there')
  if (local && !rules.loopback_issuers) throw bad('loopback addresses are allowed only with the option identity.federation.loopback_issuers')
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && local)) throw bad('it must be https')
  return url
}

const unreachable = (url: URL, why: string) => new Fault('unavailable', `The identity provider at ${url.origin} ${why}.`, { headers: { 'retry-after': '5' } })

async function textOf(response: Response, url: URL): Promise<string> {
  const reader = response.body?.getReader()
  if (reader === undefined) return ''
  const chunks: Uint8Array[] = []
  let bytes = 0
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    bytes += read.value.byteLength
    if (bytes > ANSWER_BYTES_MAX) {
      await reader.cancel()
      throw unreachable(url, `answered with more than ${ANSWER_BYTES_MAX} bytes`)
    }
    chunks.push(read.value)
  }
  return Buffer.concat(chunks).toString()
}

export interface Answer {
  status: number
  json: Record<string, unknown>
}

/** A JSON object from a provider, with its status. Unavailable where it gives none. */
export async function askJson(address: string, rules: OutboundRules, init: { method?: string; headers?: Record<string, string>; body?: string } = {}): Promise<Answer> {
  const url = checkUrl(address, rules)
  let response: Response
  let text: string
  try {
    response = (await fetch(url, { method: init.method ?? 'GET', headers: { accept: 'application/json', ...init.headers }, body: init.body, redirect: 'manual', signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) } as RequestInit)) as Response
    text = await textOf(response, url)
  } catch (error) {
    if ((error as { name?: string }).name === 'Fault') throw error
    throw unreachable(url, `did not answer (${(error as { name?: string }).name === 'TimeoutError' ? `within ${ANSWER_TIMEOUT_MS} ms` : 'no connection'})`)
  }
  if (response.status >= 300 && response.status < 400) throw unreachable(url, 'answered with a redirect, which is not followed')
  if (response.status >= 500) throw unreachable(url, `answered ${response.status}`)
  try {
    const json: unknown = JSON.parse(text)
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return { status: response.status, json: json as Record<string, unknown> }
  } catch {}
  throw unreachable(url, 'answered with something that is no JSON object')
}
