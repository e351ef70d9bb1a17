/** A server as it leaves its Project object: its row without secrets, its ports and volumes, its group. Plain JSON, for the views. */
import type { Deps } from '../../../durable-objects/kernel/deps.ts'
import { type PortInfo, peersOf } from '../../../durable-objects/project/peers.ts'
import type { ServerRow } from '../../../schema/project/compute.ts'
import { volumesOf } from './rows.ts'

export interface ServerRecord extends Omit<ServerRow, 'admin_pass' | 'key' | 'password'> {
  project_id: string
  ports: PortInfo[]
  volumes: { id: string; delete_on_termination: boolean }[]
  root_device: string
}

export function recordOf(deps: Deps, row: ServerRow): ServerRecord {
  const { admin_pass: _pass, key: _key, password: _password, ...shown } = row
  const volumes = volumesOf(deps.db, row.id)
  return {
    ...shown, project_id: deps.name, ports: row.deleted ? [] : peersOf(deps).ports.ofServer(row.id),
    volumes: volumes.filter((volume) => volume.state !== 'creating').map((volume) => ({ id: volume.volume_id, delete_on_termination: volume.delete_on_termination })), root_device: '/dev/vda',
  }
}
