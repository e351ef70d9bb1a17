/**
 * The Open vSwitch driver with real packets (see network-lab.ts). Needs root, Open vSwitch, dnsmasq, nftables, busybox; left out by name without.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { externalNetwork, guestPort, labId, labMac, labRouter, networkConformance, rule, tenantNetwork } from '../../agent/drivers/network/conformance.ts'
import type { NetworkView } from '../../agent/drivers/network/driver.ts'
import type { OvsNetworkDriver } from '../../agent/drivers/network/ovs/index.ts'
import { exec } from '../../agent/host/exec.ts'
import { tapName } from '../../schema/agent/desired.ts'
import { isFault } from '../../schema/values/fault.ts'
import { Lab } from './network-lab.ts'
import type { Guest } from './network-lab.ts'

const PROGRAMS = ['/usr/bin/ovs-vsctl', '/usr/sbin/ovs-vswitchd', '/usr/sbin/dnsmasq', '/usr/sbin/nft', '/usr/bin/busybox', '/usr/sbin/ethtool']
const missing = process.getuid?.() === 0 ? PROGRAMS.filter((path) => !existsSync(path)) : ['root']
const skip = missing.length > 0 ? `needs ${missing.join(', ')}` : false

if (skip !== false) it(`the Open vSwitch driver (left out: ${skip})`, { skip }, () => {})

const A = labId(1, 17)
const B = labId(1, 18)
const C = labId(1, 19)
const PUBLIC = labId(1, 20)
const [A1, A2, A3, B1, C1] = [labId(2, 17), labId(2, 18), labId(2, 19), labId(2, 20), labId(2, 21)]
const ROUTER = labId(3, 17)

function labView(): NetworkView {
  return {
    networks: {
      [A]: tenantNetwork(101, '10.77.1'), [B]: tenantNetwork(102, '10.77.1'), [C]: tenantNetwork(103, '10.77.3'),
      [PUBLIC]: externalNetwork('172.29.77'),
    },
    ports: {
      [A1]: guestPort(A, 1, '10.77.1.11', 'subnet-101', { extra_dhcp_opts: [{ opt_name: 'ntp-server', opt_value: '192.0.2.9', ip_version: 4 }] }),
      [A2]: guestPort(A, 2, '10.77.1.12', 'subnet-101', { rules: [rule('egress'), rule('ingress', 'icmp', { remote_cidrs: ['10.77.1.11/32', '172.29.77.0/24'] }), rule('ingress', 'tcp', { port_range_min: 8000, port_range_max: 8009 })] }),
      [A3]: guestPort(A, 3, '10.77.1.13', 'subnet-101', { rules: [] }),
      [B1]: guestPort(B, 4, '10.77.1.11', 'subnet-102', { mac_address: labMac(1) }),
      [C1]: guestPort(C, 5, '10.77.3.11', 'subnet-103'),
    },
    routers: {
      [ROUTER]: labRouter({
        interfaces: [
          { port_id: labId(4, 1), network_id: A, mac_address: labMac(201), fixed_ips: [{ ip_address: '10.77.1.1', prefix_length: 24 }] },
          { port_id: labId(4, 2), network_id: C, mac_address: labMac(202), fixed_ips: [{ ip_address: '10.77.3.1', prefix_length: 24 }] },
        ],
        gateway: { port_id: labId(4, 3), network_id: PUBLIC, mac_address: labMac(203), fixed_ips: [{ ip_address: '172.29.77.10', prefix_length: 24, gateway_ip: '172.29.77.1' }], enable_snat: true },
        floating_ips: [{ id: 'f1', floating_ip: '172.29.77.50', fixed_ip: '10.77.1.12' }, { id: 'f2', floating_ip: '172.29.77.51', fixed_ip: '10.77.3.11' }],
      }),
    },
  }
}

async function ensureAll(driver: OvsNetworkDriver, view: NetworkView): Promise<void> {
  for (const id of Object.keys(view.networks)) await driver.ensureNetwork(id, view)
  for (const id of Object.keys(view.ports)) await driver.ensurePort(id, view)
  for (const id of Object.keys(view.routers)) await driver.ensureRouter(id, view)
}

if (skip === false) {
  networkConformance('ovs', async () => {
    const lab = await new Lab('tsc').start()
    return { driver: () => lab.driver({ port_backend: 'tap' }), end: () => lab.end() }
  })

  describe('the Open vSwitch driver with real packets', () => {
    const lab = new Lab('tst')
    const view = labView()
    let driver: OvsNetworkDriver
    let a1: Guest
    let a2: Guest
    let a3: Guest
    let b1: Guest
    let c1: Guest

    before(async () => {
      await lab.start()
      driver = lab.driver()
      await ensureAll(driver, view)
      a1 = await lab.guest(A1, labMac(1))
      a2 = await lab.guest(A2, labMac(2))
      a3 = await lab.guest(A3, labMac(3))
      b1 = await lab.guest(B1, labMac(1))
      c1 = await lab.guest(C1, labMac(5))
    })
    after(() => lab.end())

    it('a second driver over the same state changes nothing', async () => {
      const next = lab.driver()
      driver = next
      await next.list()
      lab.ran = []
      await ensureAll(next, view)
      const reads = [/ show\b/, / list\b/, /^sysctl -n/, / sysctl -n/, /netns list/, /dump-aggregate/, /^bridge -j fdb show/, /--may-exist add-br/]
      assert.deepEqual(lab.ran.map((argv) => argv.join(' ')).filter((line) => !reads.some((read) => read.test(line))), [])
      assert.deepEqual(await next.list(), { networks: [A, B, C, PUBLIC].sort(), ports: [A1, A2, A3, B1, C1].sort(), routers: [ROUTER] })
    })

    it('DHCP gives each guest its address, MTU, DNS and routes', async () => {
      const lease = await a1.dhcp()
      assert.match(lease, /ip=10\.77\.1\.11 dns=9\.9\.9\.9 mtu=1450 hostname=vm1/)
      assert.match(lease, /169\.254\.169\.254\/32 10\.77\.1\.2/)
      assert.match(await b1.dhcp(), /ip=10\.77\.1\.11/)
      for (const guest of [a2, a3, c1]) await guest.dhcp()
      assert.match(await a3.run('ip', 'addr', 'show', 'eth0'), /10\.77\.1\.13\/24/)
    })

    it('metadata answers by network and source, also where addresses overlap, and believes no header', async () => {
      const get = (guest: Guest) => guest.run('timeout', '5', 'busybox', 'wget', '-q', '-O', '-', '--header', 'X-Forwarded-For: 10.77.1.12', 'http://169.254.169.254/openstack')
      assert.equal(await get(a1), `${A}/10.77.1.11 /openstack 10.77.1.12`)
      assert.equal(await get(b1), `${B}/10.77.1.11 /openstack 10.77.1.12`)
      await a1.run('ip', 'route', 'del', '169.254.169.254/32')
      assert.equal(await get(a1), `${A}/10.77.1.11 /openstack 10.77.1.12`, 'a client that took only the default route')
    })

    it('guests of a network reach each other as their rules say', async () => {
      assert.equal(await a1.ping('10.77.1.12'), true)
      a2.serve(8001, 'in-range')
      a2.serve(8010, 'out-of-range')
      assert.equal(await a1.connect('10.77.1.12', 8001), 'in-range')
      assert.equal(await a1.connect('10.77.1.12', 8010), '')
    })

    it('a port without rules gets DHCP and nothing else', async () => {
      assert.equal(await a1.silent('10.77.1.13'), true)
      assert.equal(await a3.silent('10.77.1.11'), true)
    })

    it('taking a rule away ends an open conversation', async () => {
      const closed = structuredClone(view)
      const port = closed.ports[A2]
      assert.ok(port)
      port.rules = [rule('egress')]
      await driver.ensurePort(A2, closed)
      assert.equal(await a1.silent('10.77.1.12'), true)
      assert.equal(await a2.ping('10.77.1.11'), true, 'its own conversations go on')
      await driver.ensurePort(A2, view)
      assert.equal(await a1.ping('10.77.1.12'), true)
    })

    it('networks with the same addresses do not see each other', async () => {
      assert.equal(await b1.silent('10.77.1.12'), true)
    })

    it('a guest cannot take another address or MAC', async () => {
      await a1.run('ip', 'addr', 'add', '10.77.1.99/24', 'dev', 'eth0')
      assert.equal(await a1.silent('10.77.1.12', '-I', '10.77.1.99'), true)
      await a1.run('ip', 'neigh', 'flush', 'all')
      // What a2 knows of .99 may only have come from a1's ARP.
      await a1.ok('arping', '-U', '-c', '2', '-w', '2', '-I', 'eth0', '10.77.1.99')
      assert.doesNotMatch(await a2.run('ip', 'neigh', 'show'), /10\.77\.1\.99 .*lladdr/)
      await a1.run('ip', 'addr', 'del', '10.77.1.99/24', 'dev', 'eth0')
      await a1.run('ip', 'link', 'set', 'eth0', 'address', 'fa:16:3e:00:00:77')
      assert.equal(await a1.silent('10.77.1.12'), true)
      await a1.run('ip', 'link', 'set', 'eth0', 'address', labMac(1))
      assert.equal(await a1.ping('10.77.1.12'), true)
    })

    it('frames that a guest must not send are dropped whatever its rules say', async () => {
      const number = (await lab.ovs('ovs-vsctl', 'get', 'Interface', tapName(A1), 'ofport')).trim()
      const from = `in_port=${number},dl_src=${labMac(1)},dl_dst=ff:ff:ff:ff:ff:ff`
      const v6 = 'ipv6_src=fe80::f816:3eff:fe00:1,ipv6_dst=ff02::1'
      const forbidden = [
        `udp,${from},nw_src=10.77.1.11,nw_dst=10.77.1.12,udp_src=67,udp_dst=68`, `icmp6,${from},${v6},icmpv6_type=134`, `icmp6,${from},${v6},icmpv6_type=137`,
        `icmp6,${from},${v6},icmpv6_type=136,nd_target=fe80::1`, `icmp6,${from},${v6},icmpv6_type=135,nd_target=fe80::1,nd_sll=fa:16:3e:00:00:99`, `udp6,${from},${v6},udp_src=547,udp_dst=546`,
        `arp,${from},arp_op=2,arp_sha=${labMac(1)},arp_spa=10.77.1.1`, `arp,${from},arp_op=2,arp_sha=fa:16:3e:00:00:99,arp_spa=10.77.1.11`,
        `ip,${from},nw_src=10.77.1.12`, `arp,${from},vlan_tci=0x1001,arp_sha=${labMac(1)},arp_spa=10.77.1.11`, `in_port=${number},dl_src=${labMac(1)},dl_type=0x88cc`,
      ]
      const trace = (frame: string) => lab.ovs('ovs-appctl', '-t', join(lab.dir, 'run', 'ovs', 'vswitchd.ctl'), 'ofproto/trace', 'tst-int', frame)
      for (const frame of forbidden) assert.match(await trace(frame), /Datapath actions: drop/, frame)
      for (const frame of [`arp,${from},arp_op=2,arp_sha=${labMac(1)},arp_spa=10.77.1.11`, `icmp6,${from},${v6},icmpv6_type=136,nd_target=fe80::f816:3eff:fe00:1,nd_tll=${labMac(1)}`]) {
        assert.doesNotMatch(await trace(frame), /Datapath actions: drop/, frame)
      }
    })

    it('an address pair opens exactly that address', async () => {
      const paired = structuredClone(view)
      const port = paired.ports[A1]
      assert.ok(port)
      port.allowed_address_pairs = [{ ip_address: '10.77.1.100', mac_address: labMac(1) }]
      await driver.ensurePort(A1, paired)
      await a1.run('ip', 'addr', 'add', '10.77.1.100/24', 'dev', 'eth0')
      assert.equal(await a2.ping('10.77.1.100'), true)
      await a1.run('ip', 'addr', 'del', '10.77.1.100/24', 'dev', 'eth0')
      await driver.ensurePort(A1, view)
    })

    it('the host itself does not hear a guest that speaks to its device', async () => {
      const device = JSON.parse(await lab.onHost('ip', '-j', 'link', 'show', tapName(A1))) as { address: string }[]
      await lab.onHost('ip', 'addr', 'add', '10.77.1.200/32', 'dev', 'lo')
      await a1.run('ip', 'neigh', 'replace', '10.77.1.200', 'lladdr', device[0]?.address ?? '', 'dev', 'eth0')
      assert.equal(await a1.silent('10.77.1.200'), true)
      await lab.onHost('ip', 'addr', 'del', '10.77.1.200/32', 'dev', 'lo')
    })

    it('IPv6 link-local works between guests whose rules allow it, and a false neighbour does not', async () => {
      const open = structuredClone(view)
      for (const id of [A1, A2]) open.ports[id]?.rules.push(rule('egress', null, { ethertype: 'IPv6' }), rule('ingress', null, { ethertype: 'IPv6' }))
      for (const id of [A1, A2]) await driver.ensurePort(id, open)
      assert.equal(await a1.ping('fe80::f816:3eff:fe00:2%eth0', 2), true)
      await a1.run('ip', 'addr', 'add', 'fe80::99/64', 'dev', 'eth0', 'nodad')
      assert.equal(await a2.silent('fe80::99%eth0'), true)
      await a1.run('ip', 'addr', 'del', 'fe80::99/64', 'dev', 'eth0')
      for (const id of [A1, A2]) await driver.ensurePort(id, view)
    })

    it('a router joins two networks and reaches the outside', async () => {
      assert.equal(await a1.ping('10.77.3.11', 2), true)
      assert.equal(await a1.ping('172.29.77.1', 2), true, 'the gateway on the host, by source NAT')
      await exec(['ip', 'netns', 'add', 'tst-world'])
      await exec(['ip', 'link', 'add', 'uplink', 'netns', lab.host, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'tst-world'])
      for (const [namespace, device, address] of [[lab.host, 'uplink', '198.51.100.1/24'], ['tst-world', 'eth0', '198.51.100.2/24']] as const) {
        await exec(['ip', '-n', namespace, 'addr', 'add', address, 'dev', device])
        await exec(['ip', '-n', namespace, 'link', 'set', device, 'up'])
      }
      assert.equal(await a1.ping('198.51.100.2', 2), true, 'beyond the host, where nobody knows the external subnet')
    })

    it('a floating address leads to its guest, from the host and from a neighbour', async () => {
      assert.equal(await lab.onHost('ping', '-n', '-c', '2', '-W', '2', '172.29.77.50').then(() => true, () => false), true)
      c1.serve(8002, 'floating')
      assert.equal(await a2.connect('172.29.77.51', 8002), 'floating')
      assert.equal(await lab.onHost('timeout', '3', 'busybox', 'nc', '-w', '2', '172.29.77.51', '8002'), 'floating')
      assert.equal(await a1.connect('172.29.77.50', 8001), 'in-range', 'hairpin within one subnet')
    })

    it('a floating address that goes away stops at once, and fixed ones are not routed from outside', async () => {
      const without = structuredClone(view)
      const router = without.routers[ROUTER]
      assert.ok(router)
      router.floating_ips = router.floating_ips.filter((entry) => entry.id !== 'f1')
      await driver.ensureRouter(ROUTER, without)
      assert.equal(await lab.onHost('ping', '-n', '-c', '1', '-W', '1', '172.29.77.50').then(() => false, () => true), true)
      await lab.onHost('ip', 'route', 'add', '10.77.1.0/24', 'via', '172.29.77.10')
      assert.equal(await lab.onHost('ping', '-n', '-c', '1', '-W', '1', '10.77.1.11').then(() => false, () => true), true)
      await lab.onHost('ip', 'route', 'del', '10.77.1.0/24')
      await driver.ensureRouter(ROUTER, view)
      assert.equal(await lab.onHost('ping', '-n', '-c', '2', '-W', '2', '172.29.77.50').then(() => true, () => false), true)
    })

    it('a large remote group works as a conjunction', async () => {
      const large = structuredClone(view)
      const port = large.ports[A2]
      assert.ok(port)
      port.rules = [rule('egress'), rule('ingress', 'tcp', { port_range_min: 8001, port_range_max: 8006, remote_cidrs: [...Array.from({ length: 60 }, (_, index) => `10.88.0.${index}/32`), '10.77.1.11/32'] })]
      await driver.ensurePort(A2, large)
      assert.equal(await a1.connect('10.77.1.12', 8001), 'in-range')
      assert.equal(await a1.connect('10.77.1.12', 8010), '')
      await driver.ensurePort(A2, view)
    })

    it('an address that moves to another port is leased to the new MAC', async () => {
      const moved = structuredClone(view)
      const port = moved.ports[A3]
      assert.ok(port)
      delete moved.ports[A3]
      await driver.removePort(A3)
      const other = labId(2, 99)
      moved.ports[other] = { ...port, mac_address: labMac(99) }
      await driver.ensurePort(other, moved)
      const guest = await lab.guest(other, labMac(99))
      assert.match(await guest.dhcp(), /ip=10\.77\.1\.13/)
      await driver.removePort(other)
      await driver.ensurePort(A3, view)
    })

    it('one bad port fails alone and passes nothing', async () => {
      const bad = structuredClone(view)
      const port = bad.ports[C1]
      assert.ok(port)
      port.rules = [rule('ingress', 'no-such-protocol')]
      await assert.rejects(driver.ensurePort(C1, bad), (error) => isFault(error, 'bad_request'))
      assert.equal(await c1.silent('10.77.3.1'), true)
      await driver.ensurePort(C1, view)
      assert.equal(await c1.ping('10.77.3.1'), true)
    })

    it('a switch that was killed is back with the next round', async () => {
      process.kill(Number(readFileSync(join(lab.dir, 'run', 'ovs', 'ovs-vswitchd.pid'), 'utf8')), 'SIGKILL')
      await new Promise((resolve) => setTimeout(resolve, 200))
      assert.deepEqual((await driver.list()).ports.filter((id) => id === A1), [], 'a port without flows is not reported as working')
      await ensureAll(driver, view)
      assert.equal(await a1.ping('10.77.1.12', 2), true)
    })

    it('after a reboot the host is made again from what the plane wants', async () => {
      await lab.reboot()
      driver = lab.driver()
      assert.deepEqual(await driver.list(), { networks: [], ports: [A1, A2, A3, B1, C1].map((id) => id.slice(0, 11)).sort(), routers: [] })
      await ensureAll(driver, view)
      a1 = await lab.guest(A1, labMac(1))
      c1 = await lab.guest(C1, labMac(5))
      assert.match(await a1.dhcp(), /ip=10\.77\.1\.11/)
      await c1.dhcp()
      assert.equal(await a1.ping('10.77.3.11', 2), true)
      assert.equal(await a1.ping('172.29.77.1', 2), true)
      assert.deepEqual((await driver.list()).ports, [A1, A2, A3, B1, C1].sort())
    })

    it('an agent that lost its files reports what is there by the names it bears, and can remove it', async () => {
      rmSync(join(lab.dir, 'state'), { recursive: true })
      driver = lab.driver()
      const short = (ids: string[]) => ids.map((id) => id.slice(0, 11)).sort()
      const found = await driver.list()
      assert.deepEqual({ networks: found.networks, routers: found.routers }, { networks: short([A, B, C]), routers: short([ROUTER]) })
      await driver.removeNetwork(B.slice(0, 11))
      assert.deepEqual((await driver.list()).networks, short([A, C]))
      await ensureAll(driver, view)
      assert.equal(await a1.ping('10.77.1.1', 2), true)
      assert.deepEqual(await driver.list(), { networks: [A, B, C, PUBLIC].sort(), ports: [A1, A2, A3, B1, C1].sort(), routers: [ROUTER] })
    })

    it('removing all leaves nothing behind', async () => {
      await driver.removeRouter(ROUTER)
      for (const id of Object.keys(view.ports)) await driver.removePort(id)
      for (const id of Object.keys(view.networks)) await driver.removeNetwork(id)
      assert.deepEqual(await driver.list(), { networks: [], ports: [], routers: [] })
      const links = await lab.onHost('ip', '-o', 'link')
      assert.doesNotMatch(links, /: (tap|tstd|tstr|tst-ex)/)
      assert.doesNotMatch((await exec(['ip', 'netns', 'list'])).stdout, /tst-dhcp|tst-r-/)
      assert.doesNotMatch(await lab.onHost('nft', 'list', 'ruleset'), /masquerade|g_/)
    })

    it('a purge takes away even what nobody remembers', async () => {
      await ensureAll(driver, view)
      rmSync(join(lab.dir, 'state'), { recursive: true })
      await lab.driver().purge()
      assert.doesNotMatch(await lab.onHost('ip', '-o', 'link'), /: (tap|tst)/)
      assert.doesNotMatch((await exec(['ip', 'netns', 'list'])).stdout, /tst-dhcp|tst-r-/)
      assert.doesNotMatch(await lab.onHost('nft', 'list', 'ruleset'), /tsthook/)
      assert.equal(existsSync(join(lab.dir, 'run', 'ovs')), false)
    })
  })

  describe('two hosts of one overlay network', () => {
    const labs = [new Lab('tsa'), new Lab('tsb')] as const
    const tunnels = ['10.99.7.1', '10.99.7.2']
    const view: NetworkView = { networks: { [A]: tenantNetwork(7001, '10.77.9') }, ports: {}, routers: {} }
    const ports = [labId(2, 31), labId(2, 32)]
    const guests: Guest[] = []

    before(async () => {
      for (const lab of labs) await lab.start()
      await exec(['ip', 'link', 'add', 'under', 'netns', labs[0].host, 'type', 'veth', 'peer', 'name', 'under', 'netns', labs[1].host])
      for (const [index, lab] of labs.entries()) {
        await lab.onHost('ip', 'addr', 'add', `${tunnels[index]}/24`, 'dev', 'under')
        await lab.onHost('ip', 'link', 'set', 'under', 'up', 'mtu', '1600')
        const id = ports[index] ?? ''
        const here = structuredClone(view)
        here.ports[id] = guestPort(A, 31 + index, `10.77.9.${31 + index}`, 'subnet-7001')
        const network = here.networks[A]
        assert.ok(network)
        network.peers = [{ host_id: `host-${1 - index}`, tunnel_ip: tunnels[1 - index] ?? '' }]
        const driver = lab.driver({ tunnel_ip: tunnels[index] ?? null })
        await driver.ensureNetwork(A, here)
        await driver.ensurePort(id, here)
        guests.push(await lab.guest(id, labMac(31 + index)))
      }
    })
    after(async () => {
      for (const lab of labs) await lab.end()
    })

    it('each host leases its own guests, and they reach each other through the tunnel', async () => {
      const [first, second] = guests
      assert.ok(first && second)
      assert.match(await first.dhcp(), /ip=10\.77\.9\.31/)
      assert.match(await second.dhcp(), /ip=10\.77\.9\.32/)
      assert.equal(await first.ping('10.77.9.32', 2), true)
      assert.equal(await second.ping('10.77.9.31', 2, '-s', '1400', '-M', 'do'), true, 'full frames of the overlay MTU')
    })

    it('frames of a stranger on the underlay do not enter the segment', async () => {
      await labs[1].onHost('ip', 'addr', 'add', '10.99.7.66/24', 'dev', 'under')
      await guests[0]?.dhcp()
      await labs[1].onHost('ip', 'link', 'del', 'tsbv7001')
      const rogue = async (local: string): Promise<boolean> => {
        await labs[1].onHost('ip', 'link', 'add', 'rogue', 'type', 'vxlan', 'id', '7001', 'local', local, 'remote', '10.99.7.1', 'dstport', '4789')
        await labs[1].onHost('ip', 'addr', 'add', '10.77.9.66/24', 'dev', 'rogue')
        await labs[1].onHost('ip', 'link', 'set', 'rogue', 'up', 'mtu', '1450')
        const answered = await labs[1].onHost('ping', '-n', '-c', '2', '-W', '2', '10.77.9.31').then(() => true, () => false)
        await labs[1].onHost('ip', 'link', 'del', 'rogue')
        return answered
      }
      assert.equal(await rogue('10.99.7.66'), false)
      assert.equal(await rogue('10.99.7.2'), true, 'the same frames from a peer do')
    })
  })
}
