/**
 * Networks, ports and routers of one host. Each call is idempotent: the reconciler repeats it until the host agrees.
 * Fail closed: a port whose rules cannot be programmed passes nothing, and only that port's call throws.
 */
import type { NetworkSpec, PortSpec, RouterSpec } from '../../../schema/agent/desired.ts'

/** The whole of what this host should carry: DHCP leases and remote groups need to see it together. */
export interface NetworkView {
  networks: Record<string, NetworkSpec>
  ports: Record<string, PortSpec>
  routers: Record<string, RouterSpec>
}

export interface NetworkDriver {
  readonly name: string
  list(): Promise<{ networks: string[]; ports: string[]; routers: string[] }>
  /** Segment, DHCP and metadata for one network. */
  ensureNetwork(id: string, view: NetworkView): Promise<void>
  removeNetwork(id: string): Promise<void>
  /** Makes the tap (named tapName(id), owned by this driver, persistent) with its flows; the hypervisor only opens it. */
  ensurePort(id: string, view: NetworkView): Promise<void>
  removePort(id: string): Promise<void>
  ensureRouter(id: string, view: NetworkView): Promise<void>
  removeRouter(id: string): Promise<void>
}

/** Answers 169.254.169.254: found by the network and the source address the request came from, never by a header. */
export interface MetadataSource {
  /** The server behind that address on that network, or null. */
  find(networkId: string, sourceIp: string): string | null
  /** Handles one HTTP request of that server: status, content type, body. */
  answer(serverId: string, request: { method: string; path: string; headers: Record<string, string>; body: Uint8Array }): Promise<{ status: number; headers: Record<string, string>; body: Uint8Array | string }>
}
