/** CORS: the bucket's rules, answers to preflights, and the headers that let a page read an answer. */
import { readText } from '../body.ts'
import { s3Fault } from '../errors.ts'
import { element, leaf, optional, xmlResponse } from '../markup.ts'
import { like } from '../policy.ts'
import type { S3Request } from '../request.ts'
import { childrenOf, onlyChildren, parseXml, textOf } from '../xml.ts'
import { configure, forOwner } from './settings.ts'

const RULES_MAX = 100
const METHODS = ['GET', 'PUT', 'HEAD', 'POST', 'DELETE']

interface Rule {
  id: string | null
  origins: string[]
  methods: string[]
  headers: string[]
  expose: string[]
  max_age_s: number | null
}

function parseRules(text: string): Rule[] {
  const root = parseXml(text, 'CORSConfiguration')
  onlyChildren(root, ['CORSRule'])
  const rules = childrenOf(root, 'CORSRule').map((node): Rule => {
    onlyChildren(node, ['ID', 'AllowedOrigin', 'AllowedMethod', 'AllowedHeader', 'ExposeHeader', 'MaxAgeSeconds'])
    const texts = (name: string) => childrenOf(node, name).map((child) => child.text.trim())
    const age = textOf(node, 'MaxAgeSeconds')
    const rule: Rule = { id: textOf(node, 'ID') ?? null, origins: texts('AllowedOrigin'), methods: texts('AllowedMethod'), headers: texts('AllowedHeader'), expose: texts('ExposeHeader'), max_age_s: age === undefined ? null : Number(age) }
    const odd = rule.methods.find((method) => !METHODS.includes(method))
    if (odd !== undefined) throw s3Fault('InvalidRequest', `Found unsupported HTTP method in CORS config. Unsupported method is ${odd}`)
    if (rule.origins.length === 0 || rule.methods.length === 0 || (age !== undefined && !/^\d{1,9}$/.test(age))) throw s3Fault('MalformedXML')
    for (const one of [...rule.origins, ...rule.headers]) if (one.split('*').length > 2) throw s3Fault('InvalidRequest', 'AllowedOrigin and AllowedHeader can have at most one wildcard')
    if (rule.expose.some((name) => !/^[A-Za-z0-9-]+$/.test(name))) throw s3Fault('InvalidRequest', 'ExposeHeader contains wildcard. We currently do not support wildcard for ExposeHeader.')
    return rule
  })
  if (rules.length === 0 || rules.length > RULES_MAX) throw s3Fault('MalformedXML')
  return rules
}

export async function getCors(request: S3Request): Promise<Response> {
  const { cors } = (await forOwner(request, 'GetBucketCORS')).config
  if (cors === undefined) throw s3Fault('NoSuchCORSConfiguration', undefined, { BucketName: request.bucketName })
  const many = (name: string, values: string[]) => values.map((value) => leaf(name, value)).join('')
  return xmlResponse(element('CORSConfiguration', ...(JSON.parse(cors) as Rule[]).map((rule) =>
    element('CORSRule', optional('ID', rule.id), many('AllowedOrigin', rule.origins), many('AllowedMethod', rule.methods), many('AllowedHeader', rule.headers), many('ExposeHeader', rule.expose), optional('MaxAgeSeconds', rule.max_age_s)))))
}

export async function putCors(request: S3Request): Promise<Response> {
  await forOwner(request, 'PutBucketCORS')
  await configure(request, { cors: JSON.stringify(parseRules(await readText(request))) })
  return new Response(null, { status: 200, headers: { 'content-length': '0' } })
}

export async function deleteCors(request: S3Request): Promise<Response> {
  await forOwner(request, 'PutBucketCORS')
  await configure(request, { cors: null })
  return new Response(null, { status: 204 })
}

async function ruleFor(request: S3Request, origin: string, method: string, headers: string[]): Promise<Rule | null> {
  if (request.address.bucket === null) return null
  const text = await request.bucket().then(({ config }) => config.cors, () => undefined)
  const rules = text === undefined ? [] : (JSON.parse(text) as Rule[])
  return rules.find((rule) => rule.origins.some((pattern) => like(pattern, origin)) && rule.methods.includes(method) && headers.every((header) => rule.headers.some((pattern) => like(pattern.toLowerCase(), header)))) ?? null
}

const headersFor = (rule: Rule, origin: string): Record<string, string> => ({
  ...(rule.origins.includes('*') ? { 'access-control-allow-origin': '*' } : { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' }),
  'access-control-allow-methods': rule.methods.join(', '), vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
  ...(rule.expose.length === 0 ? {} : { 'access-control-expose-headers': rule.expose.join(', ') }), ...(rule.max_age_s === null ? {} : { 'access-control-max-age': String(rule.max_age_s) }),
})

export async function preflight(request: S3Request): Promise<Response> {
  const origin = request.headers.get('origin')
  const method = request.headers.get('access-control-request-method')
  if (origin === null) throw s3Fault('InvalidRequest', 'Insufficient information. Origin request header needed.')
  if (method === null || !METHODS.includes(method)) throw s3Fault('InvalidRequest', `Invalid Access-Control-Request-Method: ${method}`)
  const wanted = (request.headers.get('access-control-request-headers') ?? '').toLowerCase().split(',').map((name) => name.trim()).filter((name) => name !== '')
  const rule = await ruleFor(request, origin, method, wanted)
  if (rule === null) throw s3Fault('AccessDenied', 'CORSResponse: This CORS request is not allowed.')
  return new Response(null, { status: 200, headers: { ...headersFor(rule, origin), ...(wanted.length === 0 ? {} : { 'access-control-allow-headers': wanted.join(', ') }), 'content-length': '0' } })
}

/** What lets the page at Origin read the answer; nothing where no rule does. */
export async function corsHeaders(request: S3Request): Promise<Record<string, string>> {
  const origin = request.headers.get('origin')
  if (origin === null || request.request.method === 'OPTIONS') return {}
  const rule = await ruleFor(request, origin, request.request.method, [])
  return rule === null ? {} : headersFor(rule, origin)
}
