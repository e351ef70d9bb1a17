/** The registry: one line per service. Mounting, the catalog and the coverage tests read it. */
import { agents } from './agents/service.ts'
import { compute } from './compute/service.ts'
import { dashboard } from './dashboard/service.ts'
import type { PolicyRule } from './http/policy.ts'
import type { Service } from './http/service.ts'
import { identity } from './identity/service.ts'
import { image } from './image/service.ts'
import { network } from './network/service.ts'
import { object } from './object/service.ts'
import { s3 } from './object/s3/service.ts'
import { placement } from './placement/service.ts'
import { volume } from './volume/service.ts'

export const SERVICES: Service[] = [identity, compute, placement, image, volume, network, object, s3, agents, dashboard]

export const ALL_POLICIES: PolicyRule[] = SERVICES.flatMap((service) => service.policies)
