import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { guestPort, labRouter, tenantNetwork } from '../conformance.ts'
import { dhcpFiles } from './dhcp.ts'
import { hostTable, routerTable } from './nft.ts'

describe('dnsmasq files', () => {
  const network = tenantNetwork(7, '10.0.7')
  const port = guestPort('n', 1, '10.0.7.5', 'subnet-7', { extra_dhcp_opts: [{ opt_name: 'ntp-server', opt_value: '192.0.2.1', ip_version: 4 }] })

  it('golden: one network, one port', () => {
    const files = dhcpFiles(network, { p: port })
    assert.match(files.conf, /^dhcp-range=set:s-[0-9a-f]{10},10\.0\.7\.0,static,255\.255\.255\.0,86400s$/m)
    assert.match(files.hosts, /^fa:16:3e:00:00:01,set:p-[0-9a-f]{10},10\.0\.7\.5,vm1\n$/)
    assert.match(files.opts, /^tag:s-[0-9a-f]{10},option:classless-static-route,169\.254\.169\.254\/32,10\.0\.7\.2,0\.0\.0\.0\/0,10\.0\.7\.1$/m)
    assert.match(files.opts, /^tag:p-[0-9a-f]{10},option:ntp-server,192\.0\.2\.1$/m)
    assert.deepEqual(files.leases, { '10.0.7.5': 'fa:16:3e:00:00:01' })
  })

  it('no name or option adds a line or a directive', () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('x\ndhcp-script=/bin/sh', 'a,b\r\nlog-queries', '\u2028', '"', '#', 'a\0b'))
    fc.assert(fc.property(text, text, text, (hostname, opt_name, opt_value) => {
      const files = dhcpFiles(network, { p: { ...port, hostname, extra_dhcp_opts: [{ opt_name, opt_value, ip_version: 4 }] } })
      assert.equal(files.hosts.split('\n').length, 2)
      assert.equal(files.opts.split('\n').length, files.faults.p === undefined ? 7 : 6)
      assert.match(files.hosts, /^[0-9a-f:]{17},set:p-[0-9a-f]{10},[0-9.]+,[a-zA-Z0-9-]{1,63}\n$/)
    }))
  })

  it('a bad option costs its port the options and nobody the leases', () => {
    const files = dhcpFiles(network, { p: { ...port, extra_dhcp_opts: [{ opt_name: 'a b', opt_value: 'x', ip_version: 4 }] }, q: guestPort('n', 2, '10.0.7.6', 'subnet-7') })
    assert.equal(files.hosts.split('\n').length, 3)
    assert.ok(files.faults.p)
  })
})

describe('nftables', () => {
  const spec = labRouter({
    gateway: { port_id: 'g', network_id: 'x', mac_address: 'fa:16:3e:00:00:09', fixed_ips: [], enable_snat: true },
    floating_ips: [{ id: 'f', floating_ip: '172.24.4.9', fixed_ip: '10.0.7.5' }],
  })
  it('a router translates its floating addresses both ways, and shares its own', () => {
    const { text } = routerTable(spec, { device: 'gw-1', address: '172.24.4.2' })
    for (const line of ['elements = { 172.24.4.9 : 10.0.7.5 }', 'elements = { 10.0.7.5 : 172.24.4.9 }', 'oifname "gw-1" snat to 172.24.4.2', 'dnat to ip daddr map @by_floating']) assert.ok(text.includes(line), line)
  })
  it('without source NAT only floating addresses are translated', () => {
    const { text } = routerTable({ ...spec, gateway: spec.gateway && { ...spec.gateway, enable_snat: false } }, { device: 'gw-1', address: '172.24.4.2' })
    assert.doesNotMatch(text, /oifname "gw-1" snat to 172|drop/)
  })
  it('the marker follows the content', () => {
    const one = hostTable('skyhook', { masquerade: [{ cidr: '172.24.4.0/24', device: 'sky-ex' }], tunnels: [] })
    assert.match(one.text, /ip saddr 172\.24\.4\.0\/24 oifname != "sky-ex" masquerade/)
    assert.notEqual(one.marker, hostTable('skyhook', { masquerade: [], tunnels: [] }).marker)
    assert.match(hostTable('skyhook', { masquerade: [], tunnels: [{ segment: 77, peers: ['10.0.0.2'] }] }).text, /udp dport 4789 @th,96,24 77 ip saddr != \{ 10\.0\.0\.2 \} drop/)
  })
})
