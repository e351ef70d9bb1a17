/** How much of a host a server needs: its flavor, less a root disk that is a volume. Placed, resized and verified with the same sum. */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import type { ServerRow } from '../../../schema/project/compute.ts'
import type { Resources } from '../scheduler/types.ts'
import { volumesOf } from './rows.ts'

export function roomOf(deps: Deps, row: ServerRow): Resources {
  const onVolume = volumesOf(deps.db, row.id).some((volume) => volume.boot_index === 0)
  return { vcpus: row.vcpus, ram_mib: row.ram_mib, disk_gib: (onVolume ? 0 : row.flavor.disk_gib) + row.flavor.ephemeral_gib + Math.ceil(row.flavor.swap_mib / 1024) }
}
