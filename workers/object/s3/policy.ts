/**
 * Bucket policies: checked when they are set, evaluated for each request. A Deny that applies wins over everything. What is not known here (a condition's operator or key that
 * no request has) refuses the policy, so that nothing is allowed by a statement that was not understood. Pure.
 */
import type { Caller } from '../../../schema/values/caller.ts'
import { s3Fault } from './errors.ts'

export const POLICY_BYTES_MAX = 20 * 1024
const STATEMENTS_MAX = 100

export interface Statement {
  sid: string
  allow: boolean
  principals: Names
  actions: Names
  resources: Names
  conditions: Condition[]
}

interface Names {
  /** 'Not...': everything but these. */
  inverted: boolean
  patterns: string[]
}

interface Condition {
  operator: string
  ifExists: boolean
  any: 'any' | 'all' | null
  key: string
  values: string[]
}

export interface Question {
  caller: Caller | null
  action: string
  /** 'bucket' or 'bucket/key' */
  resource: string
  /** Condition keys of the request, lower case. */
  facts: Record<string, string[] | undefined>
}

export type Verdict = 'allow' | 'deny' | null

const malformed = (why: string) => s3Fault('MalformedPolicy', why)
const listOf = (value: unknown, what: string): string[] => {
  const list = Array.isArray(value) ? value : [value]
  if (list.length === 0 || list.some((one) => typeof one !== 'string')) throw malformed(`${what} must be text or a list of texts`)
  return list as string[]
}

const OPERATORS = new Set([
  'stringequals', 'stringnotequals', 'stringequalsignorecase', 'stringnotequalsignorecase', 'stringlike', 'stringnotlike', 'numericequals', 'numericnotequals', 'numericlessthan', 'numericlessthanequals',
  'numericgreaterthan', 'numericgreaterthanequals', 'dateequals', 'datenotequals', 'datelessthan', 'datelessthanequals', 'dategreaterthan', 'dategreaterthanequals', 'bool', 'ipaddress', 'notipaddress', 'null', 'arnequals', 'arnlike', 'arnnotequals', 'arnnotlike',
])
/** Prefixes end in '/': object tags are named in the key. */
const KEYS = [
  'aws:sourceip', 'aws:referer', 'aws:useragent', 'aws:securetransport', 'aws:currenttime', 'aws:epochtime', 'aws:username', 'aws:userid', 'aws:principalaccount', 'aws:principaltype', 's3:prefix', 's3:delimiter', 's3:max-keys', 's3:x-amz-acl',
  's3:x-amz-copy-source', 's3:x-amz-metadata-directive', 's3:x-amz-storage-class', 's3:x-amz-content-sha256', 's3:x-amz-server-side-encryption', 's3:authtype', 's3:signatureversion', 's3:versionid', 's3:locationconstraint', 's3:existingobjecttag/', 's3:requestobjecttag/', 's3:object-lock-mode',
  's3:object-lock-legal-hold', 's3:object-lock-retain-until-date',
]

export function parsePolicy(text: string, bucket: string): Statement[] {
  if (new TextEncoder().encode(text).byteLength > POLICY_BYTES_MAX) throw malformed(`A policy has at most ${POLICY_BYTES_MAX} bytes`)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw malformed('This policy contains invalid Json')
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw malformed('Policies must be JSON objects')
  const { Version, Statement: given, Id: _, ...rest } = json as Record<string, unknown>
  const [odd] = Object.keys(rest)
  if (odd !== undefined) throw malformed(`Unknown field ${odd}`)
  if (Version !== undefined && Version !== '2012-10-17' && Version !== '2008-10-17') throw malformed('The policy must contain a valid version string')
  const statements = Array.isArray(given) ? given : [given]
  if (statements.length === 0 || statements.length > STATEMENTS_MAX) throw malformed('Could not parse the policy: Statement is empty!')
  return statements.map((statement) => parseStatement(statement, bucket))
}

function parseStatement(given: unknown, bucket: string): Statement {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw malformed('A statement must be an object')
  const { Sid, Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition: conditions, ...rest } = given as Record<string, unknown>
  const [odd] = Object.keys(rest)
  if (odd !== undefined) throw malformed(`Unknown field ${odd}`)
  if (Effect !== 'Allow' && Effect !== 'Deny') throw malformed('Invalid effect')
  const either = (plain: unknown, not: unknown, what: string): [unknown, boolean] => {
    if ((plain === undefined) === (not === undefined)) throw malformed(`Missing required field ${what}`)
    return plain === undefined ? [not, true] : [plain, false]
  }
  const [who, notWho] = either(Principal, NotPrincipal, 'Principal')
  const [what, notWhat] = either(Action, NotAction, 'Action')
  const [where, notWhere] = either(Resource, NotResource, 'Resource')
  const actions = listOf(what, 'Action').map((action) => action.toLowerCase())
  if (actions.some((action) => action !== '*' && !/^s3:[a-z*?]+$/.test(action))) throw malformed('Policy has invalid action')
  const resources = listOf(where, 'Resource').map((arn) => {
    const name = /^arn:aws:s3:::(.+)$/.exec(arn)?.[1]
    if (name === undefined || !like(name.split('/', 1)[0] ?? '', bucket)) throw malformed('Policy has invalid resource')
    return name
  })
  return { sid: typeof Sid === 'string' ? Sid : '', allow: Effect === 'Allow', principals: { inverted: notWho, patterns: principalsOf(who) }, actions: { inverted: notWhat, patterns: actions }, resources: { inverted: notWhere, patterns: resources }, conditions: conditionsOf(conditions) }
}

/** '*', or accounts and users by ARN: arn:aws:iam::PROJECT:root, arn:aws:iam::PROJECT:user/NAME, or the project's id alone. */
function principalsOf(given: unknown): string[] {
  if (given === '*') return ['*']
  if (typeof given !== 'object' || given === null) throw malformed('Invalid principal in policy')
  const { AWS, CanonicalUser, ...rest } = given as Record<string, unknown>
  if (Object.keys(rest).length > 0 || (AWS === undefined && CanonicalUser === undefined)) throw malformed('Invalid principal in policy')
  const names = [...(AWS === undefined ? [] : listOf(AWS, 'Principal')), ...(CanonicalUser === undefined ? [] : listOf(CanonicalUser, 'Principal'))]
  if (names.some((name) => name !== '*' && !/^(arn:aws:iam::[A-Za-z0-9_-]+:(root|user\/.+)|[A-Za-z0-9_-]+)$/.test(name))) throw malformed('Invalid principal in policy')
  return names
}

function conditionsOf(given: unknown): Condition[] {
  if (given === undefined) return []
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw malformed('Conditions must be an object')
  return Object.entries(given as Record<string, unknown>).flatMap(([name, block]) => {
    const match = /^(?:(forallvalues|foranyvalue):)?([a-z]+?)(ifexists)?$/.exec(name.toLowerCase())
    if (match === null || !OPERATORS.has(match[2] ?? '') || typeof block !== 'object' || block === null) throw malformed(`Invalid Condition type : ${name}`)
    return Object.entries(block as Record<string, unknown>).map(([key, value]): Condition => {
      const lower = key.toLowerCase()
      if (!KEYS.some((known) => (known.endsWith('/') ? lower.startsWith(known) : known === lower))) throw malformed(`Policy has an invalid condition key: ${key}`)
      const values = (Array.isArray(value) ? value : [value]).map((one) => {
        if (!['string', 'number', 'boolean'].includes(typeof one)) throw malformed(`Invalid value of the condition key ${key}`)
        return String(one)
      })
      return { operator: match[2] ?? '', ifExists: match[3] !== undefined, any: match[1] === undefined ? null : match[1] === 'foranyvalue' ? 'any' : 'all', key: lower, values }
    })
  })
}

/** '*' and '?' stand for any text and any character. Linear: one star is remembered at a time. */
export function like(pattern: string, text: string): boolean {
  let [p, t, star, from] = [0, 0, -1, 0]
  while (t < text.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++
      from = t
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++from
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

const names = ({ inverted, patterns }: Names, matches: (pattern: string) => boolean): boolean => patterns.some(matches) !== inverted

function isPrincipal(pattern: string, caller: Caller | null): boolean {
  if (pattern === '*') return true
  if (caller?.project_id == null) return false
  const [, project, rest] = /^arn:aws:iam::([^:]+):(.+)$/.exec(pattern) ?? [undefined, pattern, 'root']
  if (project !== caller.project_id) return false
  return rest === 'root' || rest === `user/${caller.user_id}` || rest === `user/${caller.user_name}`
}

function ipIn(range: string, address: string): boolean {
  const [net = '', bits] = range.split('/')
  const [a, b] = [ipBits(net), ipBits(address)]
  if (a === null || b === null || a.length !== b.length) return false
  const length = bits === undefined ? a.length : Number(bits)
  return Number.isInteger(length) && length >= 0 && length <= a.length && a.slice(0, length) === b.slice(0, length)
}

function ipBits(text: string): string | null {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (four !== null) return four.slice(1).some((part) => Number(part) > 255) ? null : four.slice(1).map((part) => Number(part).toString(2).padStart(8, '0')).join('')
  const halves = text.split('::')
  if (!text.includes(':') || halves.length > 2) return null
  const [left, right] = [halves[0], halves[1]].map((half) => (half === undefined || half === '' ? [] : half.split(':'))) as [string[], string[]]
  const groups = halves.length === 2 ? [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right] : left
  return groups.length !== 8 || groups.some((group) => !/^[0-9a-f]{1,4}$/i.test(group)) ? null : groups.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('')
}

const dateOf = (text: string): number => (/^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text))
const compare = (kind: string, a: number, b: number): boolean => (kind === 'equals' ? a === b : kind === 'lessthan' ? a < b : kind === 'lessthanequals' ? a <= b : kind === 'greaterthan' ? a > b : a >= b)

/** One value of the request against one of the policy, for the operator without its 'not'. */
function same(operator: string, wanted: string, found: string): boolean {
  if (operator === 'stringlike' || operator === 'arnlike' || operator === 'arnequals') return like(wanted, found)
  if (operator === 'stringequalsignorecase') return wanted.toLowerCase() === found.toLowerCase()
  if (operator === 'bool') return wanted.toLowerCase() === found.toLowerCase()
  if (operator === 'ipaddress') return ipIn(wanted, found)
  if (operator.startsWith('numeric')) return compare(operator.slice(7), Number(found), Number(wanted))
  if (operator.startsWith('date')) return compare(operator.slice(4), dateOf(found), dateOf(wanted))
  return wanted === found
}

function holds({ operator, ifExists, any, key, values }: Condition, facts: Question['facts']): boolean {
  const found = facts[key]
  if (operator === 'null') return values.some((value) => (value.toLowerCase() === 'true') === (found === undefined))
  const inverted = /^(string|numeric|date|arn)not|^notip/.test(operator)
  const plain = operator.replace(/^(string|numeric|date|arn)not/, '$1').replace(/^notip/, 'ip')
  if (found === undefined || found.length === 0) return ifExists || inverted || any === 'all'
  const one = (value: string) => values.some((wanted) => same(plain, wanted, value)) !== inverted
  return any === 'all' ? found.every(one) : any === 'any' ? found.some(one) : inverted ? found.every(one) : found.some(one)
}

function applies(statement: Statement, { caller, action, resource, facts }: Question): boolean {
  return names(statement.actions, (pattern) => like(pattern, action.toLowerCase())) && names(statement.resources, (pattern) => like(pattern, resource)) && names(statement.principals, (pattern) => isPrincipal(pattern, caller)) && statement.conditions.every((condition) => holds(condition, facts))
}

export function evaluate(statements: readonly Statement[], question: Question): Verdict {
  let verdict: Verdict = null
  for (const statement of statements) {
    if (!applies(statement, question)) continue
    if (!statement.allow) return 'deny'
    verdict = 'allow'
  }
  return verdict
}

/** Whether some statement lets everybody in, without a condition: GetBucketPolicyStatus. */
export const isPublic = (statements: readonly Statement[]): boolean => statements.some(({ allow, principals, conditions }) => allow && conditions.length === 0 && (principals.inverted || principals.patterns.includes('*')))
