/** Metadata definitions -> JSON. Pure. */
import { isoSeconds } from '../../../schema/values/time.ts'
import type { MetadefData } from './store.ts'

const base = (namespace: string): string => `/v2/metadefs/namespaces/${namespace}`
interface Stamped {
  created_ms?: number
  updated_ms?: number
}
const stamps = ({ created_ms, updated_ms }: Stamped) => ({ created_at: isoSeconds(created_ms ?? 0), updated_at: isoSeconds(updated_ms ?? 0) })
/** What the client gave, without our times. */
const given = <T extends Stamped>({ created_ms: _created, updated_ms: _updated, ...rest }: T) => rest

export const objectView = (namespace: string, name: string, value: Record<string, unknown> & Stamped) => ({ properties: {}, required: [], description: null, ...given(value), name, ...stamps(value), self: `${base(namespace)}/objects/${name}`, schema: '/v2/schemas/metadefs/object' })
export const propertyView = (name: string, value: Record<string, unknown> & Stamped) => ({ ...given(value), name })
export const tagView = (_namespace: string, name: string, value: Stamped) => ({ name, ...stamps(value) })
export const resourceTypeView = (name: string, value: Record<string, unknown> & Stamped) => ({ ...given(value), name, ...stamps(value) })

export function namespaceView(row: MetadefData, whole: boolean): Record<string, unknown> {
  const { objects, properties, tags, resource_types } = row.parts
  return {
    namespace: row.namespace, display_name: row.display_name, description: row.description, visibility: row.visibility, protected: row.protected, owner: row.owner, created_at: isoSeconds(row.created_ms), updated_at: isoSeconds(row.updated_ms),
    self: base(row.namespace), schema: '/v2/schemas/metadefs/namespace', resource_type_associations: Object.entries(resource_types).map(([name, value]) => resourceTypeView(name, value)),
    ...(whole ? {
      objects: Object.entries(objects).map(([name, value]) => objectView(row.namespace, name, value)), properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, given(value)])),
      tags: Object.entries(tags).map(([name, value]) => tagView(row.namespace, name, value)),
    } : {}),
  }
}
