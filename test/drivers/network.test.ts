/**
 * The Open vSwitch driver with real packets: a "host" in a network namespace of its own (own switch, own nftables), guests in others.
 * Nothing of a cloud that runs on the machine is touched. Needs root, Open vSwitch, dnsmasq, nftables, busybox.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { externalNetwork, guestPort, labId, labMac, labRouter, networkConformance, rule, tenantNetwork } from '../../agent/drivers/network/conformance.ts'
import type { MetadataSource, NetworkView } from '../../agent/drivers/network/driver.ts'
import { createOvsNetworkDriver, vethPeer } from '../../agent/drivers/network/ovs/index.ts'
import type { OvsNetworkDriver, OvsNetworkOptions } from '../../agent/drivers/network/ovs/index.ts'
import { listenInNamespace } from '../../agent/drivers/network/ovs/metadata-server.ts'
import { namespacePath } from '../../agent/drivers/network/ovs/netns.ts'
import { exec } from '../../agent/host/exec.ts'
import type { Exec } from '../../agent/host/exec.ts'
import { isFault } from '../../schema/values/fault.ts'
import { tapName } from '../../schema/agent/desired.ts'

const PROGRAMS = ['/usr/bin/ovs-vsctl', '/usr/sbin/ovs-vswitchd', '/usr/sbin/dnsmasq', '/usr/sbin/nft', '/usr/bin/busybox', '/usr/sbin/ethtool']
const missing = process.getuid?.() === 0 ? PROGRAMS.filter((path) => !existsSync(path)) : ['root']
const skip = missing.length > 0 ? `needs ${missing.join(', ')}` : false

const DHCP_SCRIPT = `#!/bin/sh
case $1 in bound|renew)
  ip -4 addr flush dev $interface; ip addr add $ip/$mask dev $interface
  [ -n "$mtu" ] && ip link set $interface mtu $mtu
  if [ -n "$staticroutes" ]; then set -- $staticroutes; while [ $# -ge 2 ]; do ip route replace $1 via $2 dev $interface; shift 2; done
  else for r in $router; do ip route replace default via $r; done; fi
  echo "ip=$ip dns=$dns mtu=$mtu hostname=$hostname routes=$staticroutes"
esac
`

/** The metadata of these tests: which network and address a request came from. */
const metadata: MetadataSource = {
  find: (networkId, sourceIp) => `${networkId}/${sourceIp}`,
  answer: async (serverId, request) => ({ status: 200, headers: { 'content-type': 'text/plain' }, body: `${serverId} ${request.path} ${request.headers['x-forwarded-for'] ?? '-'}` }),
}

class Lab {
  readonly host: string
  readonly dir = mkdtempSync(join(tmpdir(), 'skyhook-net-'))
  readonly exec: Exec
  readonly prefix: string
  ran: string[][] = []
  #drivers: OvsNetworkDriver[] = []
  #guests: Guest[] = []

  constructor(prefix: string) {
    this.prefix = prefix
    this.host = `${prefix}-host`
    this.exec = (argv, options) => {
      this.ran.push([...argv])
      return exec(['nsenter', `--net=/run/netns/${this.host}`, ...argv], options)
    }
  }

  async start(): Promise<this> {
    await this.end({ keep: true })
    await exec(['ip', 'netns', 'add', this.host])
    await exec(['ip', '-n', this.host, 'link', 'set', 'lo', 'up'])
    writeFileSync(join(this.dir, 'dhcp.sh'), DHCP_SCRIPT, { mode: 0o755 })
    await exec(['chmod', '755', this.dir])
    return this
  }

  driver(options: OvsNetworkOptions = {}): OvsNetworkDriver {
    for (const driver of this.#drivers) driver.close()
    const driver = createOvsNetworkDriver({ exec: this.exec, state_dir: join(this.dir, 'state'), metadata, options: { prefix: this.prefix, ovs: 'own', port_backend: 'veth', run_dir: join(this.dir, 'run'), ...options } })
    this.#drivers.push(driver)
    return driver
  }

  /** A guest behind a port: the other end of its device in a namespace, with the port's MAC. */
  async guest(portId: string, mac: string): Promise<Guest> {
    const name = `${this.prefix}-g-${portId.slice(0, 11)}`
    await exec(['ip', 'netns', 'add', name])
    await this.exec(['ip', 'link', 'set', vethPeer(portId), 'netns', name, 'name', 'eth0', 'address', mac])
    const guest = new Guest(name, this.dir)
    this.#guests.push(guest)
    await guest.run('sysctl', '-q', '-w', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.eth0.accept_dad=0')
    await guest.run('ethtool', '-K', 'eth0', 'tx', 'off')
    await guest.run('ip', 'link', 'set', 'lo', 'up')
    await guest.run('ip', 'link', 'set', 'eth0', 'up')
    return guest
  }

  onHost = async (...argv: string[]): Promise<string> => (await this.exec(argv)).stdout

  async end({ keep = false } = {}): Promise<void> {
    for (const driver of this.#drivers) driver.close()
    for (const guest of this.#guests) guest.close()
    const files = ['ovs-vswitchd.pid', 'ovsdb-server.pid'].map((name) => join(this.dir, 'state', 'ovs', name)).filter((path) => existsSync(path))
    for (const path of files) process.kill(Number(readFileSync(path, 'utf8')), 'SIGTERM')
    const names = (await exec(['ip', 'netns', 'list'])).stdout.split('\n').map((line) => line.split(' ')[0] ?? '').filter((name) => name.startsWith(`${this.prefix}-`))
    for (const name of names) {
      const pids = (await exec(['ip', 'netns', 'pids', name])).stdout.split('\n').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
      for (const pid of pids) process.kill(Number(pid), 'SIGKILL')
      await exec(['ip', 'netns', 'del', name])
    }
    if (!keep) rmSync(this.dir, { recursive: true, force: true })
  }
}

class Guest {
  readonly namespace: string
  readonly dir: string
  #servers: Server[] = []
  constructor(namespace: string, dir: string) {
    this.namespace = namespace
    this.dir = dir
  }
  run = async (...argv: string[]): Promise<string> => (await exec(['ip', 'netns', 'exec', this.namespace, ...argv], { timeout_ms: 30_000 })).stdout
  ok = (...argv: string[]): Promise<boolean> => this.run(...argv).then(() => true, () => false)
  dhcp = (): Promise<string> => this.run('busybox', 'udhcpc', '-i', 'eth0', '-n', '-q', '-f', '-t', '10', '-T', '1', '-O', 'staticroutes', '-O', 'mtu', '-O', 'hostname', '-s', join(this.dir, 'dhcp.sh'))
  ping = (address: string, count = 1, ...more: string[]): Promise<boolean> => this.ok('ping', '-n', '-c', String(count), '-i', '0.2', '-W', '2', ...more, address)
  /** No answer expected: a short wait is enough. */
  silent = async (address: string, ...more: string[]): Promise<boolean> => !(await this.ok('ping', '-n', '-c', '2', '-i', '0.2', '-W', '1', ...more, address))
  /** One TCP connection that says hello and reads the answer. */
  connect = (address: string, port: number): Promise<string> => this.run('timeout', '3', 'busybox', 'nc', '-w', '2', address, String(port)).catch(() => '')
  serve(port: number, text: string): void {
    const server = createServer((socket) => void socket.on('error', () => {}).end(text))
    server.listen({ fd: listenInNamespace(namespacePath(this.namespace), '0.0.0.0', port) })
    this.#servers.push(server)
  }
  close(): void {
    for (const server of this.#servers) server.close()
  }
}

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

    it('a guest cannot take another address, MAC, or the DHCP server\'s part', async () => {
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
      process.kill(Number(readFileSync(join(lab.dir, 'state', 'ovs', 'ovs-vswitchd.pid'), 'utf8')), 'SIGKILL')
      await new Promise((resolve) => setTimeout(resolve, 200))
      assert.deepEqual((await driver.list()).ports.filter((id) => id === A1), [], 'a port without flows is not reported as working')
      await ensureAll(driver, view)
      assert.equal(await a1.ping('10.77.1.12', 2), true)
    })

    it('removing all leaves nothing behind', async () => {
      await driver.removeRouter(ROUTER)
      for (const id of Object.keys(view.ports)) await driver.removePort(id)
      for (const id of Object.keys(view.networks)) await driver.removeNetwork(id)
      assert.deepEqual(await driver.list(), { networks: [], ports: [], routers: [] })
      const links = await lab.onHost('ip', '-o', 'link')
      assert.doesNotMatch(links, /tap|tstd|tstr|tst-ex/)
      assert.doesNotMatch((await exec(['ip', 'netns', 'list'])).stdout, /tst-dhcp|tst-r-/)
      assert.doesNotMatch(await lab.onHost('nft', 'list', 'ruleset'), /masquerade|g_/)
    })
  })
}
