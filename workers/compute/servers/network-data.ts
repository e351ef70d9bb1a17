/** network_data.json of OpenStack's metadata service: links, networks, services (nova/doc: metadata service, network_data). Pure. */
import { tapName } from '../../../schema/agent/desired.ts'
import type { PortInfo } from '../../../durable-objects/project/peers.ts'

export function netmaskOf(prefix: number, version: 4 | 6): string {
  if (version === 4) {
    const bits = prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0
    return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.')
  }
  return Array.from({ length: 8 }, (_, i) => {
    const left = Math.max(0, Math.min(16, prefix - i * 16))
    return ((0xffff << (16 - left)) & 0xffff).toString(16)
  }).join(':').replace(/(:0)+$/, '::')
}

export function networkData(ports: readonly PortInfo[]) {
  const links = ports.map((port) => ({ id: tapName(port.id), vif_id: port.id, type: 'ovs', mtu: port.mtu, ethernet_mac_address: port.mac_address }))
  const networks = ports.flatMap((port) =>
    port.fixed_ips.map((ip) => {
      const services = ip.dns_nameservers.map((address) => ({ type: 'dns', address }))
      const base = { id: '', link: tapName(port.id), network_id: port.network_id }
      if (ip.enable_dhcp) return { ...base, type: ip.version === 4 ? 'ipv4_dhcp' : 'ipv6_dhcp' }
      const any = ip.version === 4 ? { network: '0.0.0.0', netmask: '0.0.0.0' } : { network: '::', netmask: '::' }
      return {
        ...base, type: ip.version === 4 ? 'ipv4' : 'ipv6', ip_address: ip.ip_address, netmask: netmaskOf(Number(ip.cidr.split('/')[1] ?? 0), ip.version), routes: ip.gateway_ip === null ? [] : [{ ...any, gateway: ip.gateway_ip }], services,
      }
    }),
  ).map((network, i) => ({ ...network, id: `network${i}` }))
  const dns = [...new Set(ports.flatMap((port) => port.fixed_ips.flatMap((ip) => ip.dns_nameservers)))]
  return { links, networks, services: dns.map((address) => ({ type: 'dns', address })) }
}
