/** Bindings of the bundle (wrangler.toml, or the generated workerd config): objects, the hashing service, and plain settings. */
import type { DoorS3 } from '../../schema/agent/door.ts'
import type { SealingKey } from '../../schema/agent/sealing.ts'
import type { Random } from '../../schema/values/random.ts'
import type { Clock } from '../../schema/values/time.ts'
import type { AccountObject } from '../account/index.ts'
import type { ContainerObject } from '../container/index.ts'
import type { HostObject } from '../host/index.ts'
import type { IdentityObject } from '../identity/index.ts'
import type { ProjectObject } from '../project/index.ts'
import type { RegionObject } from '../region/index.ts'
import type { RingObject } from '../ring/index.ts'
import type { Namespace } from './rpc.ts'

export interface Env {
  IDENTITY: Namespace<IdentityObject>
  PROJECT: Namespace<ProjectObject>
  REGION: Namespace<RegionObject>
  HOST: Namespace<HostObject>
  RING: Namespace<RingObject>
  ACCOUNT: Namespace<AccountObject>
  CONTAINER: Namespace<ContainerObject>
  /** A second process for scrypt (single machine); absent at the edge, where each request has its own CPU. */
  HASHER?: { fetch(url: string, init: RequestInit): Promise<Response> }
  /** Region name in the catalog. */
  REGION_NAME?: string
  /** Origin that catalog links carry; the request's own where empty. */
  PUBLIC_URL?: string
  /** The edge plan's body limit in bytes; larger bodies get 413. */
  BODY_BYTES_MAX?: string
  /** Header in which a reverse proxy in front says where a request came from; empty where there is none. */
  CLIENT_ADDRESS_HEADER?: string
  /** JSON: policy rule -> check string, over the defaults. */
  POLICY_OVERRIDES?: string
  /** Secret that makes the first admin; see docs/operate.md. */
  BOOTSTRAP_ADMIN_PASSWORD?: string
  /** Secret: keys that seal Identity's secrets at rest, newest first; see workers/identity/secrets/vault.ts. */
  IDENTITY_KEYS?: string
  /** Secret: root secrets of encrypted objects, newest first; see workers/object/encryption/keymaster.ts. */
  OBJECT_KEYS?: string
  /** Secret, JSON: clusters that containers may be synced with; see workers/object/features/sync-realms.ts. */
  SYNC_REALMS?: string
  /** Only in a door: a container's keys, as the plane tells them to a request that may use the object. */
  DOOR_KEYS?: (account: string, container: string, name: { account: string; container: string; object: string }) => Promise<readonly SealingKey[]>
  /** Only in a door: what an S3 request needs of the plane. */
  DOOR_S3?: DoorS3
  /** Only where one process holds Worker and objects: its name for itself; see workers/identity/tokens/near.ts. */
  NEAR?: string
  /** JSON overrides of limits: security compliance, scheduler... */
  OPTIONS?: string
  /** Only in the simulator: its clock, randomness and log. */
  SIM?: { clock: Clock; random: Random; timers?: Timers; log?: (event: string, fields: Record<string, unknown>) => void }
}

/** Waiting, passed in where a simulation owns time. */
export interface Timers {
  /** Runs `work` after `delay_ms`; the answer cancels it. */
  after(delay_ms: number, work: () => void): () => void
}

export const systemTimers: Timers = {
  after: (delay_ms, work) => {
    const timer = setTimeout(work, delay_ms)
    return () => clearTimeout(timer)
  },
}

/** There is one identity per deployment, and so far one region. */
export const IDENTITY_NAME = 'identity'
export const REGION_OBJECT_NAME = 'region'
