/** Bodies of projects and domains (keystone/resource/schema.py). */
import * as v from 'valibot'
import { bool, changed, id, immutable, name64, tags, text, wrapped } from '../kernel/words.ts'

const shared = { description: text, enabled: v.optional(bool), tags: v.optional(tags), options: immutable }
const placed = { domain_id: v.nullish(id), parent_id: v.nullish(id), is_domain: v.optional(bool) }

export const projectCreate = wrapped('project', { ...shared, ...placed, name: name64 })
export const projectUpdate = changed('project', { ...shared, ...placed, name: v.optional(name64) })
export const domainCreate = wrapped('domain', { ...shared, name: name64, explicit_domain_id: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, 'Domain ID does not conform to required UUID format.'))) })
export const domainUpdate = changed('domain', { ...shared, name: v.optional(name64) })
export const tagList = v.object({ tags })

export const PROJECT_COLUMNS = ['name', 'description', 'enabled', 'tags', 'options', 'domain_id', 'parent_id', 'is_domain']
