/** A small client of the cloud's own public API: what start, status and verify need. */
import { Problem } from './problem.ts'

/** Hosts that start with the cloud join within this time. */
const JOIN_LIFE_S = 600

/** A token for the hosts that start with the cloud: each use counts, and it is soon worthless. A host that has joined before needs none. */
export const joinToken = async (api: Api, uses: number): Promise<string> => (await api.call('POST', '/agents/v1/join-tokens', { uses, life_s: JOIN_LIFE_S })).join_token.token

export class Api {
  readonly url: string
  #password: string
  #token: string | null = null
  projectId = ''

  constructor(url: string, password: string) {
    this.url = url
    this.#password = password
  }

  async healthy(): Promise<{ version: string } | null> {
    try {
      const response = await fetch(`${this.url}/agents/v1/health`, { signal: AbortSignal.timeout(2_000) })
      return response.ok ? ((await response.json()) as { version: string }) : null
    } catch {
      return null
    }
  }

  async login(): Promise<void> {
    const scope = { project: { name: 'admin', domain: { id: 'default' } } }
    const identity = { methods: ['password'], password: { user: { name: 'admin', domain: { id: 'default' }, password: this.#password } } }
    const response = await fetch(`${this.url}/identity/v3/auth/tokens`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ auth: { identity, scope } }) })
    if (!response.ok) throw new Problem(`the admin could not log in (${response.status}): ${(await response.text()).slice(0, 300)}`)
    this.#token = response.headers.get('x-subject-token')
    const body = (await response.json()) as { token: { project: { id: string } } }
    this.projectId = body.token.project.id
  }

  // biome-ignore lint/suspicious/noExplicitAny: bodies of the cloud's own API, checked by use.
  async call(method: string, path: string, body?: unknown, options: { raw?: BodyInit; headers?: Record<string, string>; expect?: number[] } = {}): Promise<any> {
    if (this.#token === null) await this.login()
    const headers: Record<string, string> = { 'x-auth-token': this.#token ?? '', ...options.headers }
    if (body !== undefined) headers['content-type'] = 'application/json'
    const init = { method, headers, body: options.raw ?? (body === undefined ? undefined : JSON.stringify(body)), ...(options.raw === undefined ? {} : { duplex: 'half' }) }
    // A connection kept from before a restart breaks at its next use: what changes nothing is asked again.
    const response = await fetch(`${this.url}${path}`, init as RequestInit).catch((error: unknown) => {
      if (method !== 'GET') throw error
      return fetch(`${this.url}${path}`, init as RequestInit)
    })
    const text = await response.text()
    if (!response.ok && !options.expect?.includes(response.status)) throw new Problem(`${method} ${path} answered ${response.status}: ${text.slice(0, 300)}`)
    try {
      return text === '' ? undefined : JSON.parse(text)
    } catch {
      return text
    }
  }
}
