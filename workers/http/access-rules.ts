/**
 * Access rules of application credentials: the only requests that its tokens may make, by service type, method and path, as upstream's auth_token middleware
 * holds them (keystonemiddleware/auth_token/__init__.py). A rule never changes and one in use is never deleted, so what an isolate has read of a credential
 * holds as long as the credential does; its tokens end with it by revocation.
 */
import type { Env } from '../../durable-objects/kernel/env.ts'
import { IDENTITY_NAME } from '../../durable-objects/kernel/env.ts'
import type { Caller } from '../../schema/values/caller.ts'

export interface AccessRule {
  service: string
  method: string
  path: string
}

const CREDENTIALS_KEPT = 1_000
/** Official aliases of service types (service-types-authority), led to the type in our catalog. */
const ALIASES: Record<string, string> = { 'block-storage': 'volumev3', 'block-store': 'volumev3', volume: 'volumev3', volumev2: 'volumev3' }

type Token = { kind: 'char'; char: string } | { kind: 'segment' } | { kind: 'any' }

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = []
  for (const [part] of pattern.matchAll(/\{[^}]*\}|\*\*+|\*|[^{}*]/g)) {
    if (part.startsWith('**')) {
      if (tokens.at(-1)?.kind !== 'any') tokens.push({ kind: 'any' })
    } else if (part === '*' || part.startsWith('{')) tokens.push({ kind: 'segment' })
    else tokens.push({ kind: 'char', char: part })
  }
  return tokens
}

/** '*' and '{name}' stand for one or more characters of a segment, '**' for anything. Time is bounded by the product of both lengths, whatever the pattern. */
export function pathMatches(path: string, pattern: string): boolean {
  const tokens = tokensOf(pattern)
  // reach[i]: the first i tokens can have eaten the path so far; `inside`: token i - 1 is a segment that goes on.
  let reach = new Array<boolean>(tokens.length + 1).fill(false)
  reach[0] = true
  const skipAny = (row: boolean[]) => {
    for (let i = 0; i < tokens.length; i++) if (row[i] && tokens[i]?.kind === 'any') row[i + 1] = true
    return row
  }
  skipAny(reach)
  for (const char of path) {
    const next = new Array<boolean>(tokens.length + 1).fill(false)
    for (let i = 0; i < tokens.length; i++) {
      const token = tokens[i]
      if (token?.kind === 'char') next[i + 1] ||= reach[i] === true && token.char === char
      else if (token?.kind === 'segment') next[i + 1] ||= char !== '/' && (reach[i] === true || reach[i + 1] === true)
      else next[i + 1] ||= reach[i] === true || reach[i + 1] === true
    }
    reach = skipAny(next)
  }
  return reach[tokens.length] === true
}

/** `path` as it was sent, after the service's prefix; a rule may also be written with the prefix, as the whole URL shows it. */
export function ruleAllows(rule: AccessRule, request: { method: string; path: string; service: { type: string; prefix: string } }): boolean {
  const { method, path, service } = request
  return rule.method === method && (ALIASES[rule.service] ?? rule.service) === service.type && (pathMatches(path, rule.path) || pathMatches(`${service.prefix}${path}`, rule.path))
}

const known = new WeakMap<object, Map<string, AccessRule[]>>()

async function rulesOf(env: Env, appCredId: string): Promise<AccessRule[]> {
  let kept = known.get(env)
  if (kept === undefined) {
    kept = new Map()
    known.set(env, kept)
  }
  let rules = kept.get(appCredId)
  if (rules === undefined) {
    rules = await env.IDENTITY.getByName(IDENTITY_NAME).accessRules(appCredId)
    if (kept.size >= CREDENTIALS_KEPT) kept.delete(kept.keys().next().value ?? '')
    kept.set(appCredId, rules)
  }
  return rules
}

/** Whether the caller's own rules, where it has any, let this request through. A token may always be validated. */
export async function rulesAllow(env: Env, caller: Caller, request: { method: string; path: string; service: { type: string; prefix: string } }): Promise<boolean> {
  if (!caller.ruled) return true
  if (request.service.type === 'identity' && request.method === 'GET' && request.path === '/v3/auth/tokens') return true
  return (await rulesOf(env, caller.app_cred_id ?? '')).some((rule) => ruleAllows(rule, request))
}
