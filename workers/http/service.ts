/** What a service declares: its place in the catalog, its dialect of errors and versions, its routes. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { RequestUrl } from './address.ts'
import type { Version } from './microversion.ts'
import type { PolicyRule } from './policy.ts'
import type { Route, Wording } from './route.ts'

export type Dialect = 'keystone' | 'nova' | 'placement' | 'glance' | 'cinder' | 'neutron' | 'swift' | 's3' | 'plain'

export interface Service {
  /** 'nova' */
  name: string
  /** Catalog type: 'compute'. */
  type: string
  /** First path segment: '/compute'. Routes below are written without it. */
  prefix: string
  /** Path of the catalog endpoint after the origin; {project_id} is replaced. null is not in the catalog. */
  endpoint: string | null
  dialect: Dialect
  /** Name in the OpenStack-API-Version header, and the range served. */
  microversions?: { header: string; legacyHeader?: string; min: Version; max: Version }
  /** Older or longer forms of a path, led back to the one that the routes have. */
  rewrite?(path: string): string
  routes: Route[]
  /** Splits the raw path itself where names may hold anything (Swift): candidates, best first. Default: the routes' path patterns. */
  match?(path: string): { route: Route; params: Record<string, string> }[]
  /** Whether a request is this service's wherever it lands (by signature or host). `claimed`: its first path segment is another service's. */
  recognise?(request: Request, env: Env, url: RequestUrl, claimed: boolean): boolean
  /** The path that a request's host and path stand for together, where the host is one of this service's; null where not. */
  locate?(env: Env, url: RequestUrl): string | null
  policies: PolicyRule[]
  wording?: Wording
}
