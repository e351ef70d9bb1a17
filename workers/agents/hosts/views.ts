/** A host as an administrator sees it. */
import type { HostRow } from './store.ts'

export const hostView = (host: HostRow) => ({
  id: host.id,
  name: host.name,
  up: host.up,
  seen_at: host.seen_ms === 0 ? null : new Date(host.seen_ms).toISOString(),
  joined_at: new Date(host.joined_ms).toISOString(),
  availability_zone: host.availability_zone,
  disabled: host.disabled,
  disabled_reason: host.disabled_reason,
  forced_down: host.forced_down,
  door_url: host.door_url,
  facts: host.facts,
})
