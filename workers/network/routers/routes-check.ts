/** What static routes and interfaces of a router must respect. Pure. */
import type { FixedIp, Route, SubnetRow } from '../../../schema/project/network.ts'
import { badRequest, conflict, invalidRoutes } from '../faults.ts'
import { cidrFrom, contains, ipOf, overlaps } from '../../../schema/values/ip.ts'
import { ROUTES_MAX } from './requests.ts'

export function checkRoutes(routes: readonly Route[], connected: readonly SubnetRow[], own: readonly FixedIp[], routerId: string): void {
  if (routes.length > ROUTES_MAX) throw conflict('RoutesExhausted', `Unable to complete operation for ${routerId}. The number of routes exceeds the maximum ${ROUTES_MAX}.`)
  const seen = new Set<string>()
  for (const { destination, nexthop } of routes) {
    const hop = ipOf(nexthop)
    if (cidrFrom(destination).version !== hop.version) throw invalidRoutes(`destination ${destination} and nexthop ${nexthop} are of different IP versions`)
    if (!connected.some((subnet) => contains(cidrFrom(subnet.cidr), hop))) throw invalidRoutes('the nexthop is not connected with router')
    if (own.some((fixed) => fixed.ip_address === nexthop)) throw invalidRoutes('the nexthop is used by router')
    const text = `${destination} ${nexthop}`
    if (seen.has(text)) throw badRequest(`Invalid input for routes. Reason: Duplicate route '${text}'.`)
    seen.add(text)
  }
}

/** Routes that lose their way when this subnet leaves the router. */
export const routesThrough = (routes: readonly Route[], leaving: SubnetRow, staying: readonly SubnetRow[]): Route[] =>
  routes.filter(({ nexthop }) => contains(cidrFrom(leaving.cidr), ipOf(nexthop)) && !staying.some((subnet) => contains(cidrFrom(subnet.cidr), ipOf(nexthop))))

export function checkNoOverlap(fresh: SubnetRow, present: readonly SubnetRow[], routerId: string): void {
  for (const subnet of present) {
    if (subnet.id === fresh.id) throw badRequest(`Bad router request: Router already has a port on subnet ${fresh.id}.`)
    if (overlaps(cidrFrom(subnet.cidr), cidrFrom(fresh.cidr))) throw badRequest(`Bad router request: Cidr ${fresh.cidr} of subnet ${fresh.id} overlaps with cidr ${subnet.cidr} of subnet ${subnet.id} on router ${routerId}.`)
  }
}
