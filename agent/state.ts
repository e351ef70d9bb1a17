/**
 * What the agent must not forget: the desired state of its host, with the version it has up to, and the ids of commands that must
 * not run twice. With it an agent that starts without a link keeps its host as it was last told to.
 */
import { join } from 'node:path'
import type { DesiredItem, Kind } from '../schema/agent/desired.ts'
import type { PlaneMessage } from '../schema/agent/protocol.ts'
import { type HostFiles, nodeFiles } from './host/files.ts'

export interface StateStore {
  load(name: string): Promise<unknown>
  save(name: string, value: unknown): Promise<void>
}

export function fileStore(folder: string, files: HostFiles = nodeFiles): StateStore {
  const path = (name: string) => join(folder, `${name}.json`)
  return {
    async load(name) {
      const text = await files.readText(path(name))
      return text === null ? null : JSON.parse(text)
    },
    save: (name, value) => files.replace(path(name), JSON.stringify(value)),
  }
}

/** Keeps text, not objects: what is read back is what a file would give. */
export function memoryStore(disk: Map<string, string>): StateStore {
  return {
    load: async (name) => JSON.parse(disk.get(name) ?? 'null'),
    save: async (name, value) => {
      disk.set(name, JSON.stringify(value))
    },
  }
}

export const keyOf = (kind: Kind, id: string): string => `${kind}/${id}`

export type DesiredMessage = Extract<PlaneMessage, { type: 'desired' }>

export interface DesiredState {
  version: number
  items: Record<string, DesiredItem>
}

export type Applied = { outcome: 'stale' } | { outcome: 'gap' } | { outcome: 'applied'; changed: DesiredItem[]; dropped: DesiredItem[] }

/**
 * Takes in one message. A delta that starts after what we have is a gap (ask again from our version); one that ends before it is
 * stale. A snapshot replaces the set: what it does not name is no longer wished for, which makes it an orphan and never a removal.
 */
export function applyDesired(state: DesiredState, message: DesiredMessage): Applied {
  const snapshot = message.from === 0
  if (!snapshot && message.from > state.version) return { outcome: 'gap' }
  if (!snapshot && message.to <= state.version) return { outcome: 'stale' }
  const changed: DesiredItem[] = []
  const named = new Set<string>()
  for (const item of message.items) {
    const key = keyOf(item.kind, item.id)
    named.add(key)
    const known = state.items[key]
    if (known && known.generation >= item.generation) continue
    state.items[key] = item
    changed.push(item)
  }
  const dropped: DesiredItem[] = []
  if (snapshot) {
    for (const [key, item] of Object.entries(state.items)) {
      if (named.has(key)) continue
      delete state.items[key]
      dropped.push(item)
    }
  }
  state.version = message.to
  return { outcome: 'applied', changed, dropped }
}
