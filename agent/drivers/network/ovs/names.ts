/**
 * Every name that the driver gives to something on the host. All begin with one prefix, so leftovers are found by name,
 * and a second driver (a test's) with another prefix never touches the first one's things. Interface names have 15 characters.
 */
export interface Names {
  prefix: string
  integration: string
  bridgeOf(physicalNetwork: string): string
  dhcpNamespace(networkId: string): string
  routerNamespace(routerId: string): string
  /** The bridge's end of the veth into the DHCP namespace. */
  dhcpPort(networkId: string): string
  routerPort(portId: string): string
  vxlan(segmentId: number): string
  /** nftables table on the host. */
  table: string
}

/** What names keep of an id: 11 characters, as in a tap's name. Idempotent, so a name's part works as an id for removal. */
export const shortId = (id: string): string => id.slice(0, 11)

/** Name of a port's interface in its router namespace. */
export const routerInterface = (kind: 'interface' | 'gateway', portId: string): string => `${kind === 'gateway' ? 'gw' : 'if'}-${shortId(portId)}`

export const DHCP_INTERFACE = 'dhcp0'

export function createNames(prefix: string): Names {
  if (!/^[a-z]{3}$/.test(prefix)) throw new Error(`network driver: prefix must be three letters, not ${prefix}`)
  return {
    prefix,
    integration: `${prefix}-int`,
    // `public` is the deployment's own external network and keeps the plain name.
    bridgeOf: (physicalNetwork) => (physicalNetwork === 'public' ? `${prefix}-ex` : `${prefix}-x-${physicalNetwork.replace(/[^a-z0-9]/gi, '').slice(0, 8)}`),
    dhcpNamespace: (id) => `${prefix}-dhcp-${shortId(id)}`,
    routerNamespace: (id) => `${prefix}-r-${shortId(id)}`,
    dhcpPort: (id) => `${prefix}d${shortId(id)}`,
    routerPort: (id) => `${prefix}r${shortId(id)}`,
    vxlan: (segment) => `${prefix}v${segment}`,
    table: prefix === 'sky' ? 'skyhook' : `${prefix}hook`,
  }
}
