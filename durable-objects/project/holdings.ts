/**
 * What a project believes that others hold for it: items on hosts, room in the region, addresses on other projects' networks. Each service tells its own; the
 * invariants between objects (workers/agents/verify/) compare it with what those others say.
 */
import type { Kind } from '../../schema/agent/desired.ts'

export interface Expected {
  host_id: string
  kind: Kind
  id: string
  generation: number
  state: 'present' | 'absent'
  /** A task or a step is under way: what the host has may lag behind, until the deadline that the task carries. */
  busy: boolean
  /** The owner's view says that it is in error: what the host cannot do is known. */
  broken: boolean
  /** server: how it should be running, where nothing is under way; and the volumes in it. */
  power?: 'running' | 'paused' | 'suspended' | 'off' | 'any'
  volumes?: string[]
}

export interface Held {
  id: string
  /** null: it may be held, anywhere or nowhere (on its way). */
  host_id: string | null
  /** How much, where it is known. */
  room?: { vcpus: number; ram_mib: number; disk_gib: number }
}

export interface Holdings {
  /** What has a task or a status that something must end. */
  underway: string[]
  items: Expected[]
  /** Compute's consumers of room, by consumer id. */
  consumers: Held[]
  volumes: Held[]
  /** Volumes that may be in several servers. */
  multiattach: string[]
  networks: { id: string; segment_id: number | null }[]
  routers: Held[]
  images: string[]
  /** Claims of this project on others' networks, and of others on its own. */
  claims: { holder_id: string; owner_id: string }[]
  given: { holder_id: string; project_id: string }[]
}

export const NO_HOLDINGS: Holdings = { underway: [], items: [], consumers: [], volumes: [], multiattach: [], networks: [], routers: [], images: [], claims: [], given: [] }

export function mergeHoldings(parts: readonly Partial<Holdings>[]): Holdings {
  const all: Record<string, unknown[]> = Object.fromEntries(Object.keys(NO_HOLDINGS).map((key) => [key, []]))
  for (const part of parts) for (const [key, list] of Object.entries(part)) all[key]?.push(...(list as unknown[]))
  return all as unknown as Holdings
}
