/** Catalog -> JSON: fills the templates of endpoint URLs. */
import type { CatalogService } from './catalog.ts'

export interface UrlFacts {
  origin: string
  project_id: string | null
  user_id: string | null
}

/** null where the template needs a project and the token has none (upstream leaves such endpoints out). */
export function fillUrl(template: string, facts: UrlFacts): string | null {
  if (!template.includes('(')) return template
  let missing = false
  const url = template.replace(/[$%]\((\w+)\)s/g, (whole, name: string) => {
    if (name === 'origin') return facts.origin
    const value = name === 'project_id' || name === 'tenant_id' ? facts.project_id : name === 'user_id' ? facts.user_id : whole
    if (value === null) missing = true
    return value ?? ''
  })
  return missing ? null : url
}

export function catalogView(catalog: CatalogService[], facts: UrlFacts): unknown[] {
  return catalog.map((service) => ({
    endpoints: service.endpoints.flatMap((endpoint) => {
      const url = fillUrl(endpoint.url, facts)
      return url === null ? [] : [{ id: endpoint.id, interface: endpoint.interface, region_id: endpoint.region_id, url, region: endpoint.region_id }]
    }),
    id: service.id,
    type: service.type,
    name: service.name,
  }))
}
