/**
 * The network driver of simulated hosts. What is "on the host" is the `disk` object passed in, so a simulated agent may crash and a new
 * driver be made on the same state. Specs are judged by the same pure compilers as the real driver's, so both refuse the same things.
 */
import type { NetworkSpec, PortSpec, RouterSpec } from '../../../schema/agent/desired.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { NetworkDriver, NetworkView } from './driver.ts'
import { dhcpFiles } from './ovs/dhcp.ts'
import { compilePort } from './ovs/flows.ts'
import { createNames } from './ovs/names.ts'
import { planRouter } from './ovs/router.ts'

export interface FakeNetworkDisk {
  networks: Map<string, NetworkSpec>
  /** `open` is false where the port's rules could not be programmed: it is there and passes nothing. */
  ports: Map<string, PortSpec & { open: boolean }>
  routers: Map<string, RouterSpec>
}

export type NetworkStep = 'ensureNetwork' | 'removeNetwork' | 'ensurePort' | 'removePort' | 'ensureRouter' | 'removeRouter'

/**
 * Scripted trouble: called before each mutating step with `before` and after its effect with `after`; what it throws is what the caller
 * sees. A throw from `after` is a crash between the deed and its report. May wait, to slow a host down.
 */
export type NetworkFaults = (when: 'before' | 'after', step: NetworkStep, id: string) => void | Promise<void>

export interface FakeNetworkOptions {
  disk?: FakeNetworkDisk
  faults?: NetworkFaults
}

export const createFakeNetworkDisk = (): FakeNetworkDisk => ({ networks: new Map(), ports: new Map(), routers: new Map() })

export function createFakeNetworkDriver(options: FakeNetworkOptions = {}): NetworkDriver {
  return new FakeNetworks(options)
}

const missing = (kind: string, id: string): Fault => new Fault('not_found', `${kind} ${id} is not on this host`)

class FakeNetworks implements NetworkDriver {
  readonly name = 'fake'
  #disk: FakeNetworkDisk
  #faults: NetworkFaults
  #names = createNames('sim')

  constructor({ disk, faults }: FakeNetworkOptions) {
    this.#disk = disk ?? createFakeNetworkDisk()
    this.#faults = faults ?? (() => {})
  }

  async list(): Promise<{ networks: string[]; ports: string[]; routers: string[] }> {
    const ids = (found: Map<string, unknown>) => [...found.keys()].sort()
    return { networks: ids(this.#disk.networks), ports: ids(this.#disk.ports), routers: ids(this.#disk.routers) }
  }

  ensureNetwork(id: string, view: NetworkView): Promise<void> {
    return this.#step('ensureNetwork', id, () => {
      const spec = view.networks[id]
      if (!spec) throw missing('network', id)
      dhcpFiles(spec, {})
      this.#disk.networks.set(id, structuredClone(spec))
    })
  }

  removeNetwork(id: string): Promise<void> {
    return this.#step('removeNetwork', id, () => void this.#disk.networks.delete(id))
  }

  ensurePort(id: string, view: NetworkView): Promise<void> {
    return this.#step('ensurePort', id, () => {
      const spec = view.ports[id]
      if (!spec) throw missing('port', id)
      const network = this.#disk.networks.get(spec.network_id)
      if (!network) throw new Fault('conflict', `network ${spec.network_id} is not set up on this host yet`)
      this.#disk.ports.set(id, { ...structuredClone(spec), open: false })
      compilePort(1, '0x1', spec)
      this.#disk.ports.set(id, { ...structuredClone(spec), open: spec.admin_state_up })
      const { faults } = dhcpFiles(network, { [id]: spec })
      if (faults[id] !== undefined) throw faults[id]
    })
  }

  removePort(id: string): Promise<void> {
    return this.#step('removePort', id, () => void this.#disk.ports.delete(id))
  }

  ensureRouter(id: string, view: NetworkView): Promise<void> {
    return this.#step('ensureRouter', id, () => {
      const spec = view.routers[id]
      if (!spec) throw missing('router', id)
      for (const port of planRouter(id, spec, view.networks, this.#names).ports) {
        if (!this.#disk.networks.has(port.network_id)) throw new Fault('conflict', `network ${port.network_id} is not set up on this host yet`)
      }
      this.#disk.routers.set(id, structuredClone(spec))
    })
  }

  removeRouter(id: string): Promise<void> {
    return this.#step('removeRouter', id, () => void this.#disk.routers.delete(id))
  }

  async #step(step: NetworkStep, id: string, deed: () => void): Promise<void> {
    await this.#faults('before', step, id)
    deed()
    await this.#faults('after', step, id)
  }
}
