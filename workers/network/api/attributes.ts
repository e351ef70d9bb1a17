/**
 * Attributes of a resource, as data: which a client may give on POST or PUT, their schemas, defaults and the rule that guards each. One parser for all
 * collections words the errors as upstream does (neutron-lib, api/attributes.py).
 */
import { type GenericSchema, type InferOutput, safeParse } from 'valibot'
import type { PolicyRule } from '../../http/policy.ts'
import { badRequest } from '../faults.ts'

export interface Attribute {
  /** Absent: read-only. */
  schema?: GenericSchema
  /** Default true where there is a schema. */
  post?: boolean
  put?: boolean
  required?: boolean
  /** Value where POST leaves it out. */
  fallback?: unknown
  /** Giving it needs the rule `create_<resource>:<attribute>` or `update_...`. */
  guarded?: boolean
  /** Seeing it needs the rule `get_<resource>:<attribute>`. */
  hidden?: boolean
}

export type Attributes = Record<string, Attribute>

/** What a parsed body holds: every attribute optional, each as its schema gives it. */
export type Given<A extends Attributes> = { [K in keyof A as A[K] extends { schema: GenericSchema } ? K : never]?: A[K] extends { schema: infer S extends GenericSchema } ? InferOutput<S> : never }

/** Names that every resource of a tenant takes beside its own. */
export const OWNER_ATTRIBUTES = ['project_id', 'tenant_id'] as const

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Splits `{network: {...}}` or `{networks: [...]}` into its resources. */
export function bodiesOf(body: unknown, name: string, plural: string, bulk: boolean): { bodies: Record<string, unknown>[]; bulk: boolean } {
  if (!isObject(body)) throw badRequest('Resource body required')
  if (bulk && Array.isArray(body[plural])) {
    const bodies = body[plural] as unknown[]
    if (bodies.length === 0 || !bodies.every(isObject)) throw badRequest('Resources required')
    return { bodies: bodies as Record<string, unknown>[], bulk: true }
  }
  const one = body[name]
  if (!isObject(one)) throw badRequest(`Unable to find '${name}' in request body`)
  return { bodies: [one], bulk: false }
}

/** The owner that a body names, or null. */
export function ownerIn(body: Record<string, unknown>): string | null {
  const [project, tenant] = [body.project_id, body.tenant_id]
  if (project !== undefined && tenant !== undefined && project !== tenant) throw badRequest("'project_id' and 'tenant_id' do not match")
  const owner = project ?? tenant ?? null
  if (owner !== null && typeof owner !== 'string') throw badRequest("Invalid input for tenant_id. Reason: it is not a valid string.")
  return owner === '' ? null : owner
}

export function parsePost<A extends Attributes>(attributes: A, body: Record<string, unknown>): Given<A> {
  const given: Record<string, unknown> = {}
  for (const [name, attribute] of Object.entries(attributes)) {
    if (attribute.schema === undefined || attribute.post === false) continue
    if (body[name] !== undefined) given[name] = parseOne(name, attribute.schema, body[name])
    else if (attribute.required) throw badRequest(`Failed to parse request. Required attribute '${name}' not specified`)
    else if (attribute.fallback !== undefined) given[name] = attribute.fallback
  }
  refuseOthers(attributes, body, (attribute) => attribute.schema !== undefined && attribute.post !== false, (name) => `Attribute '${name}' not allowed in POST`)
  return given as Given<A>
}

export function parsePut<A extends Attributes>(attributes: A, body: Record<string, unknown>): Given<A> {
  const given: Record<string, unknown> = {}
  for (const [name, attribute] of Object.entries(attributes)) {
    if (attribute.schema !== undefined && attribute.put !== false && body[name] !== undefined) given[name] = parseOne(name, attribute.schema, body[name])
  }
  refuseOthers(attributes, body, (attribute) => attribute.schema !== undefined && attribute.put !== false, (name) => `Cannot update read-only attribute ${name}`)
  return given as Given<A>
}

function refuseOthers(attributes: Attributes, body: Record<string, unknown>, allowed: (attribute: Attribute) => boolean, word: (name: string) => string): void {
  const unknown: string[] = []
  for (const name of Object.keys(body)) {
    if ((OWNER_ATTRIBUTES as readonly string[]).includes(name)) continue
    const attribute = Object.hasOwn(attributes, name) ? attributes[name] : undefined
    if (attribute === undefined) unknown.push(name)
    else if (!allowed(attribute)) throw badRequest(word(name))
  }
  if (unknown.length > 0) throw badRequest(`Unrecognized attribute(s) '${unknown.join(', ')}'`)
}

function parseOne(name: string, schema: GenericSchema, value: unknown): unknown {
  const result = safeParse(schema, value, { abortEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  throw badRequest(`Invalid input for ${name}. Reason: ${issue.message}.`)
}

/** Guarded attributes that `body` gives. */
export const guardedIn = (attributes: Attributes, body: Record<string, unknown>): string[] => Object.keys(body).filter((name) => Object.hasOwn(attributes, name) && attributes[name]?.guarded === true)

/** The rules of a collection: its four verbs, and one per guarded or hidden attribute. */
export function collectionPolicies(name: string, attributes: Attributes, checks: Partial<Record<'create' | 'get' | 'update' | 'delete', string>> = {}): PolicyRule[] {
  const member = 'rule:project_member_or_admin'
  const rules: PolicyRule[] = [
    { name: `create_${name}`, check: checks.create ?? member },
    { name: `get_${name}`, check: checks.get ?? 'rule:project_reader_or_admin' },
    { name: `update_${name}`, check: checks.update ?? member },
    { name: `delete_${name}`, check: checks.delete ?? member },
  ]
  for (const [attribute, { guarded, hidden }] of Object.entries(attributes)) {
    if (guarded) rules.push({ name: `create_${name}:${attribute}`, check: 'rule:admin_required' }, { name: `update_${name}:${attribute}`, check: 'rule:admin_required' })
    if (hidden) rules.push({ name: `get_${name}:${attribute}`, check: 'rule:admin_required' })
  }
  return rules
}
