/** Agents: what hosts and their operators call. Not an OpenStack API. */
import type { Service } from '../http/service.ts'
import { routes as door } from './door/routes.ts'
import { routes as hosts } from './hosts/routes.ts'
import { routes as links } from './links/routes.ts'
import { routes as objects } from './objects/routes.ts'
import { policies } from './policy.ts'
import { routes as rings } from './rings/routes.ts'
import { routes as transfers } from './transfers/routes.ts'
import { routes as verify } from './verify/routes.ts'

export const agents: Service = { name: 'agents', type: 'agents', prefix: '/agents', endpoint: null, dialect: 'plain', routes: [...hosts, ...door, ...links, ...objects, ...rings, ...transfers, ...verify], policies }
