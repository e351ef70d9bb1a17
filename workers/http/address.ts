/**
 * The address of a request, as the URL standard reads it, but read only as far as it is asked for: an object of the platform's for each request and for its query costs
 * more than all that most requests want of them. What is not plainly written (dots, escapes of dots, letters that the standard would encode) is left to the standard.
 */

/** As much of URL as handlers use. */
export type RequestUrl = Pick<URL, 'href' | 'origin' | 'host' | 'pathname' | 'search' | 'searchParams'>

const PLAIN_AUTHORITY = /^https?:\/\/[a-z0-9.-]+(?::\d+)?$/
/** Path and query: nothing that the standard encodes. */
const PLAIN = /^\/[\w/.~!$&()*+,;=:@%-]*(?:\?[\w/.~!$&()*+,;=:@%?-]*)?$/
/** A segment that begins with a dot may be one that the standard takes away. */
const DOTS = /\/(?:\.|%2e)/i
/** Shared by all requests that have none, therefore never changed. */
const NO_QUERY = new URLSearchParams()
for (const name of ['append', 'delete', 'set', 'sort']) {
  Object.defineProperty(NO_QUERY, name, {
    value: () => {
      throw new TypeError('The query of a request is not changed: copy it.')
    },
  })
}

/** The start of the last one: most requests of a process name the same host. */
let last = { text: '', origin: '', host: '' }

/** Null where the standard must say. */
function startOf(text: string): typeof last | null {
  if (text !== last.text) {
    if (!PLAIN_AUTHORITY.test(text)) return null
    const { origin, host } = new URL(text)
    last = { text, origin, host }
  }
  return last
}

export class Address implements RequestUrl {
  readonly href: string
  readonly origin: string
  readonly host: string
  readonly pathname: string
  readonly search: string
  #searchParams: URLSearchParams | null = null

  /** `href`: absolute, as Request.url has it. Throws a TypeError where it is no URL. */
  constructor(href: string) {
    const at = href.indexOf('/', href.indexOf('://') + 3)
    const start = at === -1 ? null : startOf(href.slice(0, at))
    const rest = href.slice(at)
    if (start === null || !PLAIN.test(rest) || DOTS.test(rest)) {
      ;({ href: this.href, origin: this.origin, host: this.host, pathname: this.pathname, search: this.search } = new URL(href))
      return
    }
    const mark = rest.indexOf('?')
    this.href = start.origin + rest
    this.origin = start.origin
    this.host = start.host
    this.pathname = mark === -1 ? rest : rest.slice(0, mark)
    this.search = mark === -1 || mark === rest.length - 1 ? '' : rest.slice(mark)
  }

  get searchParams(): URLSearchParams {
    if (this.#searchParams === null) this.#searchParams = this.search === '' ? NO_QUERY : new URLSearchParams(this.search)
    return this.#searchParams
  }
}
