/** Where a router runs: asked of the region when it first has something to connect, given up when it has nothing more. */
import { and, eq, inArray } from 'drizzle-orm'
import type { Db, Deps, Tx } from '../../../durable-objects/kernel/deps.ts'
import type { Task } from '../../../durable-objects/kernel/outbox.ts'
import { type PortRow, ports, routers } from '../../../schema/project/network.ts'
import { systemCaller } from '../../../schema/values/caller.ts'
import { GATEWAY_OWNER, INTERFACE_OWNER, findNetwork } from '../plane/known.ts'
import { onRegion } from '../../../durable-objects/kernel/sessions.ts'
import { touch, touchNetwork } from '../plane/touch.ts'

/** How soon a router without a gateway host asks again. */
export const PLACE_RETRY_MS = 15_000

export const attachedPorts = (db: Db, routerId: string): PortRow[] => db.select().from(ports).where(and(eq(ports.device_id, routerId), inArray(ports.device_owner, [INTERFACE_OWNER, GATEWAY_OWNER]))).all()

/** A router's interfaces or gateway changed. */
export function routerMoved(tx: Tx, routerId: string, networks: readonly Pick<PortRow, 'network_id' | 'network_owner_id'>[]): void {
  touch(tx, 'router', routerId)
  const [row] = tx.db.select().from(routers).where(eq(routers.id, routerId)).all()
  const needed = row !== undefined && attachedPorts(tx.db, routerId).length > 0
  if (needed !== (row?.host_id != null)) tx.outbox('router-place', { router_id: routerId }, { key: `router:${routerId}` })
  else for (const network of networks) touchNetwork(tx, network.network_id, network.network_owner_id)
}

export const routerPlace: Task<Deps> = {
  run: async (deps, { router_id }: { router_id: string }, { request_id }) => {
    const row = () => deps.db.select().from(routers).where(eq(routers.id, router_id)).all()[0]
    const needed = () => row() !== undefined && attachedPorts(deps.db, router_id).length > 0
    if (!needed()) {
      if (row()?.host_id !== null) setHost(deps, router_id, null, request_id)
      await onRegion(deps.env, request_id, (region) => region.network.routers.release(router_id))
      return
    }
    const gatewayNetwork = row()?.gateway_network_id ?? null
    const physical = gatewayNetwork === null ? null : (findNetwork(deps.db, gatewayNetwork)?.row.physical_network ?? null)
    const host = await onRegion(deps.env, request_id, (region) => region.network.routers.place(router_id, deps.name, physical))
    if (!needed()) return await onRegion(deps.env, request_id, (region) => region.network.routers.release(router_id))
    if (host !== null) setHost(deps, router_id, host, request_id)
    else if (deps.outbox.pending().filter((entry) => entry.task === 'router-place' && entry.key === `router:${router_id}`).length === 1) {
      deps.commit(systemCaller(request_id), (tx) => tx.outbox('router-place', { router_id }, { key: `router:${router_id}`, delay_ms: PLACE_RETRY_MS }))
    }
  },
  expire: (deps, payload: { router_id: string }, _error, { request_id }) => deps.commit(systemCaller(request_id), (tx) => tx.outbox('router-place', payload, { key: `router:${payload.router_id}`, delay_ms: PLACE_RETRY_MS })),
}

function setHost(deps: Deps, routerId: string, hostId: string | null, requestId: string): void {
  deps.commit(systemCaller(requestId), (tx) => {
    const [row] = tx.db.select().from(routers).where(eq(routers.id, routerId)).all()
    if (row?.host_id === hostId) return
    if (row !== undefined) {
      tx.db.update(routers).set({ host_id: hostId }).where(eq(routers.id, routerId)).run()
      tx.change('router', routerId, 'update', { host_id: row.host_id }, { host_id: hostId })
    }
    touch(tx, 'router', routerId)
    for (const port of attachedPorts(tx.db, routerId)) touchNetwork(tx, port.network_id, port.network_owner_id)
  })
}
