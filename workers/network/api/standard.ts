/** Attributes that every Neutron resource has, and how their rows read and change. */
import { isoSeconds } from '../../../schema/values/time.ts'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import { revisionMismatch } from '../faults.ts'
import { text } from './types.ts'

export interface StandardRow {
  id: string
  name: string
  description: string
  revision_number: number
  created_ms: number
  updated_ms: number
  tags: string[]
}

export const DESCRIPTION_CHARS_MAX = 255

export const standardAttributes = {
  name: { schema: text(), fallback: '' },
  description: { schema: text(DESCRIPTION_CHARS_MAX), fallback: '' },
}

export function standardView(row: StandardRow, project_id: string) {
  return { id: row.id, name: row.name, ...stampView(row, project_id), tags: row.tags }
}

/** Of resources without name and tags (rules). */
export function stampView(row: Pick<StandardRow, 'description' | 'revision_number' | 'created_ms' | 'updated_ms'>, project_id: string) {
  return { project_id, tenant_id: project_id, description: row.description, created_at: isoSeconds(row.created_ms), updated_at: isoSeconds(row.updated_ms), revision_number: row.revision_number }
}

export const standardRow = (tx: Pick<Tx, 'now_ms'>, id: string, given: { name?: string; description?: string }): StandardRow => ({
  id, name: given.name ?? '', description: given.description ?? '', revision_number: 1, created_ms: tx.now_ms, updated_ms: tx.now_ms, tags: [],
})

/** What moves with every change. */
export const bumped = (tx: Pick<Tx, 'now_ms'>, row: { revision_number: number }) => ({ revision_number: row.revision_number + 1, updated_ms: tx.now_ms })

export function checkRevision(kind: string, row: { id: string; revision_number: number }, wanted: number | null): void {
  if (wanted !== null && wanted !== row.revision_number) throw revisionMismatch(kind, row.id, wanted)
}

/** Only what was given: the keys of `given` that the table knows. */
export const givenOnly = <T extends object>(given: T): Partial<T> => Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>
