/** One cloud under the script: sends requests, remembers what it is given to compare, learns the ids that the cloud chose. */
import type { Answer, Recording } from './compare.ts'
import { type Names, json, ownRows, text } from './normalise.ts'

export interface Raw {
  status: number
  headers: Headers
  text: string
}

export interface Cloud {
  /** 'http://127.0.0.1:5000' or '.../identity': what /v3 follows. */
  root: string
  password: string
  /** How long a login must stand back after a revocation: Keystone dates both to the second. */
  settle_ms: number
  send(method: string, path: string, headers: Record<string, string>, body: string | undefined): Promise<Raw>
  /** Makes a protocol of an identity provider ready to be used; then says what a request carries of somebody with these claims. */
  provider(side: Side, protocol: string): Promise<Vouch>
}

/** Who comes by an identity provider, and what that says of him: headers of the request to .../auth. */
export type Vouch = (subject: string, claims: Record<string, string>) => Promise<Record<string, string>>

export interface Options {
  /** Token, or null for none. Default: the administrator's. */
  as?: string | null
  json?: unknown
  body?: string
  headers?: Record<string, string>
  /** Asked only to go on; not compared. */
  quiet?: boolean
  /** Tells apart two steps of the same method and path. */
  label?: string
}

/** Headers that clients read. */
const HEADERS = ['content-type', 'vary', 'x-subject-token', 'www-authenticate', 'location', 'allow']

// biome-ignore lint/suspicious/noExplicitAny: bodies of either cloud.
type Body = any

export class Side {
  readonly run: string
  readonly cloud: Cloud
  readonly records: Recording = {}
  token = ''
  #names: Names
  #area = ''

  constructor(cloud: Cloud, run: string) {
    this.cloud = cloud
    this.run = run
    this.#names = { run, words: new Map([[`${cloud.root}/v3`, '<v3>'], [cloud.root, '<root>']]) }
  }

  /** Steps that follow are named after it. */
  area(name: string): void {
    this.#area = name
  }

  /** A name that no other run has. */
  name(base: string): string {
    return `${base}-${this.run}`
  }

  learn(literal: string | undefined, word: string): void {
    if (literal !== undefined) this.#names.words.set(literal, `<${word}>`)
  }

  async call(method: string, path: string, options: Options = {}): Promise<{ status: number; headers: Headers; body: Body }> {
    const token = options.as === undefined ? this.token : options.as
    const body = options.json === undefined ? options.body : JSON.stringify(options.json)
    const headers = { ...(token === null ? {} : { 'x-auth-token': token }), ...(options.json === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers }
    const raw = await this.cloud.send(method, path, headers, body)
    let parsed: unknown
    try {
      parsed = raw.text === '' ? undefined : JSON.parse(raw.text)
    } catch {
      parsed = raw.text
    }
    if (!options.quiet) this.#remember(method, path, options.label, raw, parsed)
    return { status: raw.status, headers: raw.headers, body: parsed }
  }

  /** A creation whose id later steps use under `word`. */
  async make(method: string, path: string, kind: string, word: string, body: unknown, options: Options = {}): Promise<Body> {
    const given = body === undefined ? {} : { json: { [kind]: body } }
    const before = this.#names.words.size
    // The id must be known before the answer is written down.
    const answer = await this.call(method, path, { ...options, ...given, quiet: true })
    const row = answer.body?.[kind] ?? {}
    if (typeof row.id === 'string' && this.#names.words.size === before) this.learn(row.id, word)
    if (!options.quiet) this.#remember(method, path, options.label, { status: answer.status, headers: answer.headers, text: '' }, answer.body)
    return row
  }

  #remember(method: string, path: string, label: string | undefined, raw: Raw, body: unknown): void {
    const base = `${this.#area}: ${method} ${text(path, this.#names)}${label === undefined ? '' : ` (${text(label, this.#names)})`}`
    let step = base
    for (let n = 2; step in this.records; n++) step = `${base} #${n}`
    const headers: Record<string, string> = {}
    for (const name of HEADERS) {
      const value = raw.headers.get(name)
      if (value !== null) headers[name] = name === 'x-subject-token' ? '<token>' : name === 'allow' ? methods(value) : text(value, this.#names)
    }
    const shown = body === undefined ? null : json(ownRows(body, this.#names), this.#names)
    this.records[step] = { status: raw.status, headers, body: shown } satisfies Answer
  }

  /** A new token after a revocation that ended the old one; not compared. */
  async again(auth: unknown): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, this.cloud.settle_ms))
    return await this.login(auth, { quiet: true })
  }

  /** Logs in and gives the token. */
  async login(auth: unknown, options: Options = {}): Promise<string> {
    const { headers } = await this.call('POST', '/v3/auth/tokens', { as: null, json: { auth }, ...options })
    return headers.get('x-subject-token') ?? ''
  }
}

/** Named in any order, and those that every resource has may be left out. */
const methods = (value: string) => value.split(/,\s*/).filter((name) => name !== 'OPTIONS' && name !== 'HEAD').sort().join(', ')

export const password = (user: string | { id: string }, secret: string, scope?: unknown): Body => ({
  identity: { methods: ['password'], password: { user: { ...(typeof user === 'string' ? { name: user, domain: { id: 'default' } } : user), password: secret } } }, ...(scope === undefined ? {} : { scope }),
})
export const inProject = (id: string) => ({ project: { id } })
export const inDomain = (id: string) => ({ domain: { id } })
export const inSystem = { system: { all: true } }
