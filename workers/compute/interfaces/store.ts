/** Ports of servers that run: plugged in and out by a new generation of the server. */
import { RpcTarget } from 'cloudflare:workers'
import type { Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import { type PortInfo, type PortRequest, peersOf } from '../../../durable-objects/project/peers.ts'
import type { ServerRow } from '../../../schema/project/compute.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { Fault, isFault } from '../../../schema/values/fault.ts'
import { converge, liveServer, patch, startAction } from '../servers/rows.ts'
import { requireAction } from '../servers/states.ts'

const missing = (serverId: string, portId: string) => new Fault('not_found', `Instance ${serverId} does not have a port with id ${portId}`)

export class Interfaces extends RpcTarget {
  #deps: Deps
  #caller: Caller
  constructor(deps: Deps, caller: Caller) {
    super()
    this.#deps = deps
    this.#caller = caller
  }

  list(serverId: string): PortInfo[] {
    liveServer(this.#deps.db, serverId)
    return peersOf(this.#deps).ports.ofServer(serverId)
  }

  get(serverId: string, portId: string): PortInfo {
    const found = this.list(serverId).find((port) => port.id === portId)
    if (found === undefined) throw missing(serverId, portId)
    return found
  }

  attach(serverId: string, request: PortRequest, locked_override: boolean): PortInfo {
    const { ports } = peersOf(this.#deps)
    return this.#deps.commit(this.#caller, (tx) => {
      const row = this.#usable(tx, serverId, 'attach_interface', locked_override)
      const port = this.#take(tx, row, request)
      startAction(tx, this.#caller, row, 'attach_interface', true)
      if (row.host_id !== null) ports.bind(tx, this.#caller, serverId, row.host_id)
      patch(tx, row, { generation: row.generation + 1 })
      if (row.host_id !== null) converge(tx, serverId)
      return ports.ofServer(serverId).find((candidate) => candidate.id === port.id) ?? port
    })
  }

  detach(serverId: string, portId: string, locked_override: boolean): void {
    const { ports } = peersOf(this.#deps)
    this.#deps.commit(this.#caller, (tx) => {
      const row = this.#usable(tx, serverId, 'detach_interface', locked_override)
      if (!ports.ofServer(serverId).some((port) => port.id === portId)) throw missing(serverId, portId)
      startAction(tx, this.#caller, row, 'detach_interface', true)
      ports.release(tx, this.#caller, serverId, portId)
      patch(tx, row, { generation: row.generation + 1 })
      if (row.host_id !== null) converge(tx, serverId)
    })
  }

  securityGroups(serverId: string): { id: string; name: string }[] {
    const groups = this.list(serverId).flatMap((port) => port.security_groups)
    return [...new Map(groups.map((group) => [group.id, group])).values()]
  }

  addSecurityGroup(serverId: string, nameOrId: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      liveServer(tx.db, serverId)
      peersOf(this.#deps).ports.addSecurityGroup(tx, this.#caller, serverId, nameOrId)
    })
  }

  removeSecurityGroup(serverId: string, nameOrId: string): void {
    this.#deps.commit(this.#caller, (tx) => {
      liveServer(tx.db, serverId)
      peersOf(this.#deps).ports.removeSecurityGroup(tx, this.#caller, serverId, nameOrId)
    })
  }

  #take(tx: Tx, row: ServerRow, request: PortRequest): PortInfo {
    try {
      return peersOf(this.#deps).ports.takeForServer(tx, this.#caller, { ...request, server_id: row.id, server_name: row.name, security_groups: null, availability_zone: row.availability_zone ?? 'nova' })
    } catch (error) {
      throw isFault(error, 'over_quota') ? new Fault('over_quota', 'Maximum number of ports exceeded', { status: 403 }) : error
    }
  }

  #usable(tx: Tx, serverId: string, action: 'attach_interface' | 'detach_interface', locked_override: boolean): ServerRow {
    const row = liveServer(tx.db, serverId)
    if (row.locked && !locked_override) throw new Fault('conflict', `Instance ${serverId} is locked`)
    requireAction(row, action)
    return row
  }
}
