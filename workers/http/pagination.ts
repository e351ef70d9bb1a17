/** limit and marker, as every service pages: `limit` is capped, `marker` is the last id of the page before. */
import { Fault } from '../../schema/values/fault.ts'
import type { RequestUrl } from './address.ts'

export const PAGE_SIZE_MAX = 1_000

export interface Page {
  limit: number
  marker: string | null
  reverse: boolean
}

export function pageOf(query: URLSearchParams, page_size_max: number = PAGE_SIZE_MAX): Page {
  const text = query.get('limit')
  let limit = page_size_max
  if (text !== null && text !== '') {
    if (!/^-?\d+$/.test(text)) throw new Fault('bad_request', `limit must be an integer, not '${text}'.`)
    if (Number(text) < 0) throw new Fault('bad_request', 'limit must not be negative.')
    limit = Math.min(Number(text), page_size_max)
  }
  return { limit, marker: query.get('marker') || null, reverse: query.get('page_reverse')?.toLowerCase() === 'true' }
}

/** One page of sorted rows; `more` says that a next link is due. An unknown marker is the service's fault to word. */
export function cut<T extends { id: string }>(rows: T[], page: Page, markerFault: (marker: string) => Fault): { rows: T[]; more: boolean } {
  const ordered = page.reverse ? [...rows].reverse() : rows
  let start = 0
  if (page.marker !== null) {
    const at = ordered.findIndex((row) => row.id === page.marker)
    if (at < 0) throw markerFault(page.marker)
    start = at + 1
  }
  const slice = ordered.slice(start, start + page.limit)
  const more = start + page.limit < ordered.length && page.limit > 0
  return { rows: page.reverse ? slice.reverse() : slice, more }
}

/** The URL of the next page: same query, another marker. */
export function nextUrl(origin: string, url: RequestUrl, marker: string): string {
  const query = new URLSearchParams(url.searchParams)
  query.set('marker', marker)
  return `${origin}${url.pathname}?${query}`
}
