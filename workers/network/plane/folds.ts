/** What hosts report of networks, ports and routers, folded into rows: a port is ACTIVE when its own host has it as desired. Older generations change nothing. */
import { and, eq, inArray, ne } from 'drizzle-orm'
import type { Tx } from '../../../durable-objects/kernel/deps.ts'
import type { Fold } from '../../../durable-objects/project/peers.ts'
import type { ObservedItem } from '../../../schema/agent/observed.ts'
import { floatingIps, hosted, items, ports, routers } from '../../../schema/project/network.ts'
import { bumped } from '../api/standard.ts'
import { exists } from './sync.ts'
import { GATEWAY_OWNER, INTERFACE_OWNER } from './known.ts'
import type { ItemKind } from './touch.ts'

export const fold = (kind: ItemKind): Fold => (tx, hostId, item) => {
  if (item.orphan) return
  const mine = and(eq(hosted.kind, kind), eq(hosted.id, item.id), eq(hosted.host_id, hostId))
  const [row] = tx.db.select().from(hosted).where(mine).all()
  if (row === undefined) return
  if (item.status === 'gone') {
    if (row.state === 'absent' && item.generation >= row.generation) forget(tx, kind, item.id, hostId)
    return
  }
  if (item.generation !== row.generation || row.state === 'absent') return
  if (row.status !== item.status) tx.db.update(hosted).set({ status: item.status }).where(mine).run()
  if (kind === 'port') portReported(tx, hostId, item)
  if (kind === 'router') routerReported(tx, hostId, item)
}

function forget(tx: Tx, kind: ItemKind, id: string, hostId: string): void {
  tx.db.delete(hosted).where(and(eq(hosted.kind, kind), eq(hosted.id, id), eq(hosted.host_id, hostId))).run()
  const left = tx.db.select({ host_id: hosted.host_id }).from(hosted).where(and(eq(hosted.kind, kind), eq(hosted.id, id))).all()
  if (left.length === 0 && !exists({ db: tx.db }, kind, id)) tx.db.delete(items).where(and(eq(items.kind, kind), eq(items.id, id))).run()
}

const statusOf = (item: ObservedItem): 'ACTIVE' | 'DOWN' | null => (item.status === 'ready' ? 'ACTIVE' : item.status === 'failed' ? 'DOWN' : null)

function portReported(tx: Tx, _hostId: string, item: ObservedItem): void {
  const status = statusOf(item)
  const [port] = tx.db.select().from(ports).where(eq(ports.id, item.id)).all()
  if (port === undefined || status === null) return
  setPortStatus(tx, port, port.admin_state_up ? status : 'DOWN')
}

export function setPortStatus(tx: Tx, port: typeof ports.$inferSelect, status: string): void {
  if (port.status === status) return
  tx.db.update(ports).set({ status, ...bumped(tx, port) }).where(eq(ports.id, port.id)).run()
  tx.change('port', port.id, 'update', { status: port.status }, { status })
}

function routerReported(tx: Tx, hostId: string, item: ObservedItem): void {
  const status = statusOf(item)
  const [router] = tx.db.select().from(routers).where(and(eq(routers.id, item.id), eq(routers.host_id, hostId))).all()
  if (router === undefined || status === null) return
  const attached = tx.db.select().from(ports).where(and(eq(ports.device_id, router.id), inArray(ports.device_owner, [INTERFACE_OWNER, GATEWAY_OWNER]))).all()
  for (const port of attached) setPortStatus(tx, port, router.admin_state_up ? status : 'DOWN')
  for (const fip of tx.db.select().from(floatingIps).where(and(eq(floatingIps.router_id, router.id), ne(floatingIps.status, status))).all()) {
    tx.db.update(floatingIps).set({ status, ...bumped(tx, fip) }).where(eq(floatingIps.id, fip.id)).run()
    tx.change('floatingip', fip.id, 'update', { status: fip.status }, { status })
  }
}
