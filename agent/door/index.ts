/** A door: the object store's handlers on this host, over its own disks. What ties server, plane and disk together. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { DoorS3 } from '../../schema/agent/door.ts'
import { Fault } from '../../schema/values/fault.ts'
import type { Clock } from '../../schema/values/time.ts'
import type { Scope } from '../../workers/http/sigv4.ts'
import { forgetRevocations } from '../../workers/object/revoked.ts'
import type { ObjectDriver } from '../drivers/object/driver.ts'
import type { Identity } from '../identity.ts'
import type { Log } from '../log.ts'
import type { Timers } from '../timers.ts'
import { Containers } from './containers.ts'
import { Hosts } from './hosts.ts'
import { Peers } from './peers.ts'
import { createDoorPlane } from './plane.ts'
import { Presence } from './presence.ts'
import { reconcile } from './reconcile.ts'
import { S3Keys, s3AtPlane } from './s3.ts'
import { DoorServer } from './server.ts'
import { DoorStore } from './store.ts'

export interface DoorOptions {
  /** Origin of the plane. */
  plane: string
  identity: Identity
  driver: ObjectDriver
  /** Where it keeps what must outlive it. */
  folder: string
  address: string
  /** 0: any free one. */
  port: number
  clock: Clock
  timers: Timers
  log: Log
}

export interface DoorStatus {
  status: 'ok'
  online: boolean
  /** When the plane last answered, by its own clock. */
  seen_at: string | null
  /** Updates that wait for the plane, and those it refused. */
  pending: number
  refused: number
  requests: number
  /** Versions by storage policy. */
  rings: Record<string, number>
}

export interface Door {
  port: number
  status(): DoorStatus
  /** Looks for the plane now. */
  poll(): Promise<void>
  stop(): Promise<void>
}

/** 'ADDR:PORT' as an operator writes it; a door never listens on all addresses by default. */
export function parseDoor(text: string): { address: string; port: number } {
  const match = /^(\[[0-9a-f:]+\]|[^:\s]+):(\d{1,5})$/i.exec(text)
  const port = Number(match?.[2])
  if (match === null || port > 65_535) throw new Fault('bad_request', `--door takes ADDR:PORT, not '${text}'`)
  return { address: (match[1] ?? '').replace(/^\[|\]$/g, ''), port }
}

export async function startDoor(options: DoorOptions): Promise<Door> {
  const { identity, driver, clock, timers, log } = options
  const store = new DoorStore(options.folder)
  const plane = createDoorPlane(options.plane, identity)
  let env: Env | null = null
  const presence: Presence = new Presence({
    plane, store, clock, timers, log,
    changed: ({ revocations, vars }) => {
      if (env !== null && revocations) forgetRevocations(env)
      if (vars) env = null
    },
    deliver: () => reconcile({ plane, store, env: envNow, now_ms: () => presence.now_ms(), log }),
  })
  const hosts = new Hosts({ identity, driver, plane, presence })
  const s3Keys = new S3Keys(plane, presence)
  const envNow = (): Env => (env ??= makeEnv(presence, hosts, containers, s3AtPlane(plane, presence, timers), s3Keys))
  const containers: Containers = new Containers({ plane, presence, store, timers, log, env: envNow })
  const status = (): DoorStatus => ({
    status: 'ok', online: presence.online, seen_at: presence.seen_ms === 0 ? null : new Date(presence.seen_ms).toISOString(), pending: store.pendingCount, refused: store.refusedCount, requests: server.open, rings: Object.fromEntries([...presence.rings].map(([policy, ring]) => [policy, ring.version])),
  })
  const server: DoorServer = new DoorServer({ plane, presence, containers, peers: new Peers(presence), driver, timers, status, env: envNow, log })
  await presence.start()
  const port = await server.listen(options.address, options.port)
  log('door_up', { address: options.address, port, online: presence.online, pending: store.pendingCount })
  return {
    port, status,
    poll: () => presence.poll(),
    async stop() {
      await presence.stop()
      await server.close()
      containers.flush()
      hosts.close()
      plane.close()
      store.close()
    },
  }
}

/** The bindings that the handlers ask for; anything else is not there. */
function makeEnv(presence: Presence, hosts: Hosts, containers: Containers, s3: DoorS3, s3Keys: S3Keys): Env {
  const none = () => {
    throw new Fault('unavailable', 'This is not served by a door.')
  }
  const missing = { getByName: none } as never
  return {
    ...presence.vars,
    IDENTITY: { getByName: () => ({ publicKeys: async () => presence.keys, accessRules: (id: string) => containers.accessRules(id), s3SigningKey: (asked: Scope & { access: string }) => s3Keys.key(asked), revocations: async (cursor: number) => (cursor === 0 ? { cursor: 1, events: presence.revocations } : { cursor, events: [] }) }) } as never,
    RING: {
      getByName: (policy: string) => ({
        current: async (known: number) => {
          const ring = presence.rings.get(policy)
          if (ring === undefined) throw new Fault('unavailable', 'The ring of this policy is not known here.')
          return ring.version === known ? null : ring
        },
        refresh: async () => 0,
        mark: async () => null,
      }),
    } as never,
    HOST: hosts.namespace,
    CONTAINER: { getByName: (key: string) => containers.container(key) } as never,
    ACCOUNT: { getByName: (name: string) => containers.account(name) } as never,
    DOOR_KEYS: (account, container, name) => containers.keys(account, container, name.container === container ? name.object : (name.object.split('\0')[1] ?? '')),
    DOOR_S3: s3, PROJECT: missing, REGION: missing,
  }
}
