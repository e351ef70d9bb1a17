/**
 * What every network driver must do, the fake like the real ones. Run with node:test by the drivers' own tests; what only real packets
 * can show is in test/drivers/network.test.ts. The specs built here are those tests' building blocks too.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { NetworkSpec, PortSpec, RouterSpec, SecurityRule } from '../../../schema/agent/desired.ts'
import { isFault } from '../../../schema/values/fault.ts'
import type { NetworkDriver, NetworkView } from './driver.ts'

export interface NetworkLab {
  /** A driver on this lab's host; a second call is the driver of a restarted agent. */
  driver(): NetworkDriver
  end(): Promise<void>
}

/** Ids that differ in their first 11 characters, for names on a host keep no more. */
export const labId = (kind: number, number: number): string => `${(kind * 0x100000 + number).toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`

export const labMac = (number: number): string => `fa:16:3e:00:${(number >> 8).toString(16).padStart(2, '0')}:${(number & 255).toString(16).padStart(2, '0')}`

export function tenantNetwork(segment_id: number, prefix: string, extra: Partial<NetworkSpec> = {}): NetworkSpec {
  const subnet = { id: `subnet-${segment_id}`, ip_version: 4 as const, cidr: `${prefix}.0/24`, gateway_ip: `${prefix}.1`, enable_dhcp: true, dhcp_ip: `${prefix}.2`, dns_nameservers: ['9.9.9.9'], host_routes: [] }
  return { segment_id, mtu: 1450, type: 'tenant', physical_network: null, subnets: [subnet], dhcp_mac: labMac(0xff00 + (segment_id & 255)), peers: [], ...extra }
}

export const externalNetwork = (prefix: string): NetworkSpec => ({
  segment_id: 0, mtu: 1500, type: 'external', physical_network: 'public', dhcp_mac: null, peers: [],
  subnets: [{ id: 'subnet-external', ip_version: 4, cidr: `${prefix}.0/24`, gateway_ip: `${prefix}.1`, enable_dhcp: false, dhcp_ip: null, dns_nameservers: [], host_routes: [] }],
})

export const rule = (direction: 'ingress' | 'egress', protocol: string | null = null, extra: Partial<SecurityRule> = {}): SecurityRule => ({
  direction, ethertype: 'IPv4', protocol, port_range_min: null, port_range_max: null, remote_cidrs: null, ...extra,
})

export function guestPort(network_id: string, number: number, address: string, subnet_id: string, extra: Partial<PortSpec> = {}): PortSpec {
  return {
    network_id, mac_address: labMac(number), fixed_ips: [{ subnet_id, ip_address: address }], server_id: `server-${number}`, admin_state_up: true, port_security_enabled: true,
    rules: [rule('egress'), rule('ingress')], allowed_address_pairs: [], hostname: `vm${number}`, extra_dhcp_opts: [], ...extra,
  }
}

export const labRouter = (extra: Partial<RouterSpec> = {}): RouterSpec => ({ admin_state_up: true, interfaces: [], gateway: null, floating_ips: [], routes: [], ...extra })

const N1 = labId(1, 1)
const N2 = labId(1, 2)
const P1 = labId(2, 1)
const P2 = labId(2, 2)
const R1 = labId(3, 1)

function view(): NetworkView {
  return {
    networks: { [N1]: tenantNetwork(4001, '10.50.1'), [N2]: externalNetwork('172.29.78') },
    ports: { [P1]: guestPort(N1, 11, '10.50.1.11', 'subnet-4001'), [P2]: guestPort(N1, 12, '10.50.1.12', 'subnet-4001') },
    routers: {
      [R1]: labRouter({
        interfaces: [{ port_id: labId(4, 1), network_id: N1, mac_address: labMac(101), fixed_ips: [{ ip_address: '10.50.1.1', prefix_length: 24 }] }],
        gateway: { port_id: labId(4, 2), network_id: N2, mac_address: labMac(102), fixed_ips: [{ ip_address: '172.29.78.10', prefix_length: 24, gateway_ip: '172.29.78.1' }], enable_snat: true },
      }),
    },
  }
}

export function networkConformance(name: string, make: () => Promise<NetworkLab>): void {
  describe(`network driver ${name}`, () => {
    let lab: NetworkLab
    before(async () => {
      lab = await make()
    })
    after(() => lab.end())

    it('starts empty', async () => {
      assert.deepEqual(await lab.driver().list(), { networks: [], ports: [], routers: [] })
    })

    it('removes what is not there without a word', async () => {
      const driver = lab.driver()
      await driver.removeRouter(R1)
      await driver.removePort(P1)
      await driver.removeNetwork(N1)
    })

    it('refuses a port whose network is not here yet', async () => {
      await assert.rejects(lab.driver().ensurePort(P1, view()), (error) => isFault(error, 'conflict'))
    })

    it('makes networks, ports and routers, twice the same', async () => {
      const driver = lab.driver()
      for (let round = 0; round < 2; round++) {
        for (const id of [N1, N2]) await driver.ensureNetwork(id, view())
        for (const id of [P1, P2]) await driver.ensurePort(id, view())
        await driver.ensureRouter(R1, view())
        assert.deepEqual(await driver.list(), { networks: [N1, N2], ports: [P1, P2], routers: [R1] })
      }
    })

    it('is found again by the next driver', async () => {
      assert.deepEqual(await lab.driver().list(), { networks: [N1, N2], ports: [P1, P2], routers: [R1] })
    })

    it('closes the one port whose rules cannot be programmed', async () => {
      const driver = lab.driver()
      const bad = view()
      bad.ports[P1] = { ...guestPort(N1, 11, '10.50.1.11', 'subnet-4001'), rules: [rule('ingress', 'tcp', { remote_cidrs: ['10.0.0.0/8,actions=normal'] })] }
      await assert.rejects(driver.ensurePort(P1, bad), (error) => isFault(error, 'bad_request'))
      await driver.ensurePort(P2, bad)
      await driver.ensurePort(P1, view())
    })

    it('refuses a DHCP option that would be a line of its own', async () => {
      const driver = lab.driver()
      const bad = view()
      bad.ports[P1] = { ...guestPort(N1, 11, '10.50.1.11', 'subnet-4001'), extra_dhcp_opts: [{ opt_name: 'domain-name', opt_value: 'x\ndhcp-script=/bin/sh', ip_version: 4 }] }
      await assert.rejects(driver.ensurePort(P1, bad), (error) => isFault(error, 'bad_request'))
      await driver.ensurePort(P1, view())
    })

    it('removes everything', async () => {
      const driver = lab.driver()
      await driver.removeRouter(R1)
      for (const id of [P1, P2]) await driver.removePort(id)
      for (const id of [N1, N2]) await driver.removeNetwork(id)
      assert.deepEqual(await driver.list(), { networks: [], ports: [], routers: [] })
    })
  })
}
