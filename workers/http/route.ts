/**
 * A route is data: method, path, policy, versions, schemas, status and handler in one literal, so that tests can enumerate them. The kernel below
 * turns a request into a context and a result into a response; handlers never test roles, parse JSON or build error bodies.
 */
import type { BaseIssue, GenericSchema, InferOutput } from 'valibot'
import { safeParse } from 'valibot'
import { Fault } from '../../schema/values/fault.ts'
import { HIDDEN, isSecretName } from '../../schema/values/secret.ts'
import type { Context } from './context.ts'
import type { Target } from './policy.ts'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'COPY' | 'OPTIONS'

/** A result that is more than a body. */
export interface Reply {
  status?: number
  /** Names in lower case. */
  headers?: Record<string, string>
  body?: unknown
}

export interface Route {
  method: Method
  /** '/servers/:id': parameters keep their percent-encoding. */
  path: string
  /** Rule name; 'public' needs no token; 'token' needs any valid token (the handler authorizes, or the data does). */
  policy: string
  /** Microversion range in which the route exists: minor numbers, inclusive. */
  versions?: readonly [number, number | null]
  /** JSON body schema; 'stream' leaves the body alone; 'json' takes any JSON; absent: a body is ignored. */
  /** Largest JSON body, where it is less than the general one: routes that anybody may call. */
  body_bytes_max?: number
  body?: GenericSchema | 'stream' | 'json' | ((minor: number) => GenericSchema)
  /** Success status of a plain body result. Default 200 (204 without a body). */
  status?: number
  /** Policy target where it is not the caller's own project. */
  target?(params: Record<string, string>): Target
  // biome-ignore lint/suspicious/noExplicitAny: typed by route() for whoever declares it.
  handle(ctx: Context<any>): Promise<unknown> | unknown
}

// biome-ignore lint/suspicious/noExplicitAny: a route without a schema types its own body.
type BodyOf<S> = S extends GenericSchema ? InferOutput<S> : S extends (minor: number) => infer T ? (T extends GenericSchema ? InferOutput<T> : unknown) : any

/** Declares a route, its body typed by its schema. */
export function route<const S extends Route['body'] = undefined>(spec: Omit<Route, 'handle' | 'body'> & { body?: S; handle(ctx: Context<BodyOf<S>>): Promise<unknown> | unknown }): Route {
  return spec as Route
}

export const reply = (parts: Reply): ReplyBox => new ReplyBox(parts)
export class ReplyBox {
  parts: Reply
  constructor(parts: Reply) {
    this.parts = parts
  }
}

export const JSON_BYTES_MAX = 4 * 1024 * 1024

/** How a service words what is wrong with a body; the default names the field and its path. */
export type Wording = (issue: BaseIssue<unknown>) => string

export async function parseBody(spec: Route, request: Request, minor: number, wording?: Wording): Promise<unknown> {
  if (spec.body === undefined || spec.body === 'stream') return undefined
  const max = spec.body_bytes_max ?? JSON_BYTES_MAX
  const length = Number(request.headers.get('content-length') ?? 0)
  if (length > max) throw new Fault('too_large', `Request body is larger than ${max} bytes.`)
  const text = await request.text()
  if (text.length > max) throw new Fault('too_large', `Request body is larger than ${max} bytes.`)
  let json: unknown
  try {
    json = text === '' && spec.body === 'json' ? undefined : JSON.parse(text)
  } catch {
    throw new Fault('bad_request', text === '' ? 'A JSON body is required.' : 'Malformed request body: not valid JSON.')
  }
  if (spec.body === 'json') return json
  return validate(typeof spec.body === 'function' && !('kind' in spec.body) ? (spec.body as (minor: number) => GenericSchema)(minor) : (spec.body as GenericSchema), json, wording)
}

/** Parses or throws a 400 that names the field. */
export function validate<S extends GenericSchema>(schema: S, value: unknown, wording?: Wording): InferOutput<S> {
  const result = safeParse(schema, value, { abortEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  if (wording !== undefined) throw new Fault('bad_request', wording(issue))
  const path = issue.path?.map((part: { key: unknown }) => String(part.key)).join('.') ?? ''
  const last = path.split('.').at(-1)
  throw new Fault('bad_request', path === '' ? `Invalid request body: ${issue.message}` : `Invalid input for field/attribute ${last}. Value: ${isSecretName(last ?? '') ? HIDDEN : shown(issue.input)}. ${issue.message} (at ${path})`, { details: undefined })
}

const shown = (value: unknown): string => {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined')
  return text.length > 100 ? `${text.slice(0, 100)}...` : text
}

/** What the handler gave, as a response. */
export function respond(spec: Route, result: unknown, headers: Record<string, string>): Response {
  if (result instanceof Response) {
    // An upgraded connection is bound to this very object.
    if (result.status === 101) return result
    const merged = new Response(result.body, result)
    for (const [name, value] of Object.entries(headers)) if (!merged.headers.has(name)) merged.headers.set(name, value)
    return merged
  }
  const parts: Reply = result instanceof ReplyBox ? result.parts : { body: result }
  const status = parts.status ?? spec.status ?? (parts.body === undefined ? 204 : 200)
  const { body } = parts
  if (body === undefined || body === null) return new Response(null, { status, headers: { ...headers, ...parts.headers } })
  if (typeof body === 'string' || body instanceof ReadableStream || body instanceof Uint8Array) return new Response(body as BodyInit, { status, headers: { ...headers, ...parts.headers } })
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers, ...parts.headers } })
}
