/** Calls of the public APIs with the user's token. What is refused becomes an ApiError with the API's own sentence. */
import { ApiError, sentenceOf } from './errors.ts'
import { session, signOut } from './session.ts'

export interface CallOptions {
  json?: unknown
  body?: Blob
  headers?: Record<string, string>
}

/** The newest compute that this was written for; each answer's shape follows from it. */
const COMPUTE_VERSION = 'compute 2.96'

async function ask(method: string, path: string, options: CallOptions): Promise<Response> {
  const headers = new Headers(options.headers)
  headers.set('x-auth-token', session()?.token ?? '')
  if (path.startsWith('/compute/') && !headers.has('openstack-api-version')) headers.set('openstack-api-version', COMPUTE_VERSION)
  if (options.json !== undefined) headers.set('content-type', 'application/json')
  let response: Response
  try {
    response = await fetch(path, { method, headers, body: options.json === undefined ? options.body : JSON.stringify(options.json) })
  } catch {
    throw new ApiError(0, 'The cloud cannot be reached. Try again.', null)
  }
  if (response.ok) return response
  if (response.status === 401) void signOut('Your session has ended. Sign in again.')
  throw new ApiError(response.status, sentenceOf(response.status, await response.text()), response.headers.get('x-openstack-request-id') ?? response.headers.get('x-trans-id'))
}

export async function call<T = unknown>(method: string, path: string, options: CallOptions = {}): Promise<T> {
  const text = await (await ask(method, path, options)).text()
  return (text === '' ? undefined : JSON.parse(text)) as T
}

export const get = <T>(path: string): Promise<T> => call<T>('GET', path)
export const post = <T = unknown>(path: string, json: unknown): Promise<T> => call<T>('POST', path, { json })
export const remove = (path: string): Promise<unknown> => call('DELETE', path)

/** For bodies that are not JSON. */
export const fetchBlob = async (path: string): Promise<Blob> => await (await ask('GET', path, {})).blob()
export const send = async (method: string, path: string, options: CallOptions): Promise<Headers> => (await ask(method, path, options)).headers
/** Paths of the signed-in project. */
export const projectId = (): string => session()?.project?.id ?? ''
