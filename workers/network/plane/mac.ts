/** MAC addresses: fa:16:3e (as upstream's default base) and 24 random bits, unique in their network. */
import { and, eq } from 'drizzle-orm'
import type { Db, Deps } from '../../../durable-objects/kernel/deps.ts'
import { claims, ports } from '../../../schema/project/network.ts'
import { Fault } from '../../../schema/values/fault.ts'

export const MAC_BASE = 'fa:16:3e'
export const MAC_TRIES_MAX = 16

export function newMac(deps: Pick<Deps, 'random'>, db: Db, networkId: string): string {
  for (let i = 0; i < MAC_TRIES_MAX; i++) {
    const mac = `${MAC_BASE}:${[...deps.random.bytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`
    if (!macTaken(db, networkId, mac)) return mac
  }
  throw new Fault('unavailable', `Unable to generate unique mac on network ${networkId}.`, { type: 'MacAddressGenerationFailure' })
}

export const macTaken = (db: Db, networkId: string, mac: string): boolean =>
  db.select({ id: ports.id }).from(ports).where(and(eq(ports.network_id, networkId), eq(ports.mac_address, mac))).all().length > 0 || db.select({ id: claims.holder_id }).from(claims).where(and(eq(claims.network_id, networkId), eq(claims.mac_address, mac))).all().length > 0
