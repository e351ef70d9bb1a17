/** The dashboard: pages that speak the public APIs with the user's token. No state, no sessions, no privileges of its own. */
import type { Service } from '../http/service.ts'
import { routes } from './routes.ts'

export const dashboard: Service = { name: 'dashboard', type: 'dashboard', prefix: '/dashboard', endpoint: null, dialect: 'plain', routes, policies: [] }
