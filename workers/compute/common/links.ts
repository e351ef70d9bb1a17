/** Links of compute's resources: `self` under the version, `bookmark` without it (api-ref: links and references). */
export interface Link {
  rel: string
  href: string
}

const PREFIX = '/compute'

export const linksOf = (origin: string, kind: string, id: string): Link[] => [
  { rel: 'self', href: `${origin}${PREFIX}/v2.1/${kind}/${id}` },
  { rel: 'bookmark', href: `${origin}${PREFIX}/${kind}/${id}` },
]

export const bookmark = (origin: string, kind: string, id: string): Link[] => [{ rel: 'bookmark', href: `${origin}${PREFIX}/${kind}/${id}` }]

/** The `next` link of a page, or nothing. */
export function nextLink(origin: string, url: { pathname: string; searchParams: URLSearchParams }, marker: string | null): Link[] | null {
  if (marker === null) return null
  const query = new URLSearchParams(url.searchParams)
  query.set('marker', marker)
  return [{ rel: 'next', href: `${origin}${url.pathname}?${query}` }]
}
