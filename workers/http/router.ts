/**
 * Which routes a path has: the patterns are itty-router's, tried where they can match only. A path without parameters is looked up; any other is tried against the
 * patterns whose first two segments are its own, so that a service of 250 routes costs what one of ten does.
 */
import { Router } from 'itty-router'
import type { Route } from './route.ts'

export interface Match {
  route: Route
  params: Readonly<Record<string, string>>
}

interface Pattern {
  route: Route
  pattern: RegExp
  /** Static segments before the first parameter, two at most. */
  head: string[]
}

const HEAD_SEGMENTS = 2
const isParameter = (segment: string) => /[:*+?()]/.test(segment)
const segments = (path: string): string[] => path.split('/').slice(1)

/** Static segments before parameters, so that /servers/detail is never an id. */
function bySpecificity(a: Route, b: Route): number {
  const [left, right] = [a.path.split('/'), b.path.split('/')]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [x, y] = [left[i]?.startsWith(':') ?? true, right[i]?.startsWith(':') ?? true]
    if (x !== y) return x ? 1 : -1
  }
  return 0
}

function headOf(path: string): string[] {
  const all = segments(path)
  const end = all.findIndex(isParameter)
  return all.slice(0, Math.min(HEAD_SEGMENTS, end === -1 ? all.length : end))
}

export class Routes {
  /** What a path that is a route's own has, whole: `/v3/auth/tokens`. */
  #fixed = new Map<string, Match[]>()
  /** By the first segments of a path: what may match it. */
  #byHead = new Map<string, Pattern[]>()
  #patterns: Pattern[]

  constructor(routes: readonly Route[]) {
    const sorted = [...routes].sort(bySpecificity)
    const router = Router()
    // biome-ignore lint/suspicious/noExplicitAny: itty names methods by property.
    for (const { path } of sorted) (router as any).all(path, () => {})
    this.#patterns = sorted.map((route, i) => ({ route, pattern: router.routes[i]?.[1] as RegExp, head: headOf(route.path) }))
    for (const { head } of this.#patterns) {
      const key = head.join('/')
      if (!this.#byHead.has(key)) this.#byHead.set(key, this.#patterns.filter((other) => other.head.every((segment, i) => i >= head.length || head[i] === segment)))
    }
    for (const { route } of this.#patterns) if (!segments(route.path).some(isParameter)) this.#fixed.set(route.path, this.#tried(this.#patterns, route.path))
  }

  /** Every route of the path, whatever its method; the most specific first. Parameters are as they came, percent-encoded. */
  of(path: string): Match[] {
    const known = this.#fixed.get(path)
    if (known !== undefined) return known
    const first = path.indexOf('/', 1)
    const second = first === -1 ? -1 : path.indexOf('/', first + 1)
    const candidates = this.#byHead.get(second === -1 ? path.slice(1) : path.slice(1, second)) ?? this.#byHead.get(first === -1 ? path.slice(1) : path.slice(1, first)) ?? this.#patterns
    return this.#tried(candidates, path)
  }

  #tried(patterns: Pattern[], path: string): Match[] {
    const found: Match[] = []
    for (const { route, pattern } of patterns) {
      const match = pattern.exec(path)
      if (match !== null) found.push({ route, params: Object.freeze({ ...match.groups }) })
    }
    return found
  }
}
