/** Neutron's errors, with the class names and words that clients match (upstream: neutron-lib exceptions, neutron/extensions). */
import { Fault, type FaultKind } from '../../schema/values/fault.ts'

const make = (kind: FaultKind, type: string, message: string): Fault => new Fault(kind, message, { type })

const NOT_FOUND = {
  network: (id: string) => make('not_found', 'NetworkNotFound', `Network ${id} could not be found.`),
  subnet: (id: string) => make('not_found', 'SubnetNotFound', `Subnet ${id} could not be found.`),
  port: (id: string) => make('not_found', 'PortNotFound', `Port ${id} could not be found.`),
  router: (id: string) => make('not_found', 'RouterNotFound', `Router ${id} could not be found`),
  floatingip: (id: string) => make('not_found', 'FloatingIPNotFound', `Floating IP ${id} could not be found`),
  security_group: (id: string) => make('not_found', 'SecurityGroupNotFound', `Security group ${id} does not exist`),
  security_group_rule: (id: string) => make('not_found', 'SecurityGroupRuleNotFound', `Security group rule ${id} does not exist`),
  subnetpool: (id: string) => make('not_found', 'SubnetPoolNotFound', `Subnet pool ${id} could not be found.`),
  address_scope: (id: string) => make('not_found', 'AddressScopeNotFound', `Address scope ${id} could not be found.`),
  rbac_policy: (id: string) => make('not_found', 'RbacPolicyNotFound', `RBAC policy of type network with ID ${id} not found.`),
  agent: (id: string) => make('not_found', 'AgentNotFound', `Agent ${id} could not be found.`),
  extension: (alias: string) => make('not_found', 'HTTPNotFound', `Extension with alias ${alias} does not exist`),
}

export type Kind = keyof typeof NOT_FOUND
export const notFound = (kind: Kind, id: string): Fault => NOT_FOUND[kind](id)

export const badRequest = (message: string): Fault => make('bad_request', 'HTTPBadRequest', message)
export const invalidInput = (message: string): Fault => make('bad_request', 'InvalidInput', `Invalid input for operation: ${message}.`)
export const networkInUse = (id: string): Fault => make('conflict', 'NetworkInUse', `Unable to complete operation on network ${id}. There are one or more ports still in use on the network.`)
export const subnetInUse = (id: string, reason = 'One or more ports have an IP allocation from this subnet.'): Fault => make('conflict', 'SubnetInUse', `Unable to complete operation on subnet ${id}: ${reason}`)
export const routerInUse = (id: string): Fault => make('conflict', 'RouterInUse', `Router ${id} still has ports`)
export const addressInUse = (networkId: string, ip: string): Fault => make('conflict', 'IpAddressInUse', `Unable to complete operation for network ${networkId}. The IP address ${ip} is in use.`)
export const addressAllocated = (subnetId: string, ip: string): Fault => make('conflict', 'IpAddressAlreadyAllocated', `IP address ${ip} already allocated in subnet ${subnetId}`)
export const noAddresses = (networkId: string): Fault => make('conflict', 'IpAddressGenerationFailure', `No more IP addresses available on network ${networkId}.`)
export const macInUse = (networkId: string, mac: string): Fault => make('conflict', 'MacAddressInUse', `Unable to complete operation for network ${networkId}. The mac address ${mac} is in use.`)
export const invalidAddress = (ip: string): Fault => make('bad_request', 'InvalidIpForNetwork', `IP address ${ip} is not a valid IP for any of the subnets on the specified network.`)
export const invalidForSubnet = (ip: string): Fault => make('bad_request', 'InvalidIpForSubnet', `IP address ${ip} is not a valid IP for the specified subnet.`)
export const overlappingPools = (a: string, b: string, cidr: string): Fault => make('conflict', 'OverlappingAllocationPools', `Found overlapping allocation pools: ${a} ${b} for subnet ${cidr}.`)
export const poolOutOfBounds = (pool: string, cidr: string): Fault => make('bad_request', 'OutOfBoundsAllocationPool', `The allocation pool ${pool} spans beyond the subnet cidr ${cidr}.`)
export const invalidPool = (pool: string): Fault => make('bad_request', 'InvalidAllocationPool', `The allocation pool ${pool} is not valid.`)
export const gatewayInPool = (ip: string, pool: string): Fault => make('conflict', 'GatewayConflictWithAllocationPools', `Gateway ip ${ip} conflicts with allocation pool ${pool}.`)
export const gatewayInUse = (ip: string, portId: string): Fault => make('conflict', 'GatewayIpInUse', `Current gateway ip ${ip} already in use by port ${portId}. Unable to update.`)
export const portInUse = (portId: string, deviceId: string, networkId: string): Fault => make('conflict', 'PortInUse', `Unable to complete operation on port ${portId} for network ${networkId}. Port already has an attached device ${deviceId}.`)
export const portHeld = (portId: string, reason: string): Fault => make('conflict', 'ServicePortInUse', `Port ${portId} cannot be deleted directly via the port API: ${reason}.`)
export const interfaceNotFound = (routerId: string, portId: string): Fault => make('not_found', 'RouterInterfaceNotFound', `Router ${routerId} does not have an interface with id ${portId}`)
export const interfaceForSubnetNotFound = (routerId: string, subnetId: string): Fault => make('not_found', 'RouterInterfaceNotFoundForSubnet', `Router ${routerId} has no interface on subnet ${subnetId}`)
export const interfaceHasFloatingIps = (routerId: string, subnetId: string): Fault => make('conflict', 'RouterInterfaceInUseByFloatingIP', `Router interface for subnet ${subnetId} on router ${routerId} cannot be deleted, as it is required by one or more floating IPs.`)
export const interfaceHasRoute = (routerId: string, subnetId: string): Fault => make('conflict', 'RouterInterfaceInUseByRoute', `Router interface for subnet ${subnetId} on router ${routerId} cannot be deleted, as it is required by one or more routes.`)
export const gatewayHasFloatingIps = (routerId: string, networkId: string): Fault => make('conflict', 'RouterExternalGatewayInUseByFloatingIp', `Gateway cannot be updated for router ${routerId}, since a gateway to external network ${networkId} is required by one or more floating IPs.`)
export const invalidRoutes = (reason: string): Fault => make('bad_request', 'InvalidRoutes', `Invalid format for routes: ${reason}.`)
export const fixedIpInUse = (fipId: string, address: string, portId: string, otherFip: string): Fault => make('conflict', 'FloatingIPPortAlreadyAssociated', `Cannot associate floating IP ${address} (${fipId}) with port ${portId}, as that fixed IP already has a floating IP ${otherFip} on this external network.`)
export const noGatewayFor = (subnetId: string, externalId: string, portId: string): Fault => make('not_found', 'ExternalGatewayForFloatingIPNotFound', `External network ${externalId} is not reachable from subnet ${subnetId}.  Therefore, cannot associate Port ${portId} with a Floating IP.`)
export const groupInUse = (id: string, reason = ''): Fault => make('conflict', 'SecurityGroupInUse', `Security Group ${id} in use.${reason}`)
export const ruleExists = (id: string): Fault => make('conflict', 'SecurityGroupRuleExists', `Security group rule already exists. Rule id is ${id}.`)
export const overQuota = (resources: string[]): Fault => make('over_quota', 'OverQuota', `Quota exceeded for resources: [${resources.map((name) => `'${name}'`).join(', ')}].`)
export const revisionMismatch = (kind: string, id: string, expected: number): Fault => new Fault('precondition_failed', `Constrained to ${expected}, but current revision of ${kind} ${id} differs.`, { type: 'RevisionNumberConstraintFailed' })
export const conflict = (type: string, message: string): Fault => make('conflict', type, message)
