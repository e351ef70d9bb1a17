/**
 * A "host" in a network namespace of its own (own switch, own nftables) and guests in others, for the network driver's tests. The driver
 * runs in this process, its programs inside the host's namespace: nothing of a cloud that runs on the machine is touched.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MetadataSource } from '../../agent/drivers/network/driver.ts'
import { createOvsNetworkDriver, vethPeer } from '../../agent/drivers/network/ovs/index.ts'
import type { OvsNetworkDriver, OvsNetworkOptions } from '../../agent/drivers/network/ovs/index.ts'
import { listenInNamespace } from '../../agent/drivers/network/ovs/metadata-server.ts'
import { namespacePath } from '../../agent/drivers/network/ovs/netns.ts'
import { exec } from '../../agent/host/exec.ts'
import type { Exec } from '../../agent/host/exec.ts'

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

export class Lab {
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

  ovs = (...argv: string[]): Promise<string> => {
    const run = join(this.dir, 'run', 'ovs')
    return this.exec(argv[0] === 'ovs-vsctl' ? ['ovs-vsctl', `--db=unix:${join(run, 'db.sock')}`, ...argv.slice(1)] : argv, { env: { OVS_RUNDIR: run } }).then((result) => result.stdout)
  }

  /** What a host loses in a reboot: processes, namespaces, devices, rules. The switch's database stays, as the system's does. */
  async reboot(): Promise<void> {
    await this.#stop()
    rmSync(join(this.dir, 'run', 'dhcp'), { recursive: true, force: true })
    await exec(['ip', 'netns', 'add', this.host])
    await exec(['ip', '-n', this.host, 'link', 'set', 'lo', 'up'])
  }

  async #stop(): Promise<void> {
    for (const driver of this.#drivers) driver.close()
    for (const guest of this.#guests) guest.close()
    const files = ['ovs-vswitchd.pid', 'ovsdb-server.pid'].map((name) => join(this.dir, 'run', 'ovs', name)).filter((path) => existsSync(path))
    for (const path of files) {
      const pid = Number(readFileSync(path, 'utf8'))
      // Killed, not asked: an orderly end would remove the pid files that a power cut leaves behind.
      if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL')
    }
    const names = (await exec(['ip', 'netns', 'list'])).stdout.split('\n').map((line) => line.split(' ')[0] ?? '').filter((name) => name.startsWith(`${this.prefix}-`))
    for (const name of names) {
      const pids = (await exec(['ip', 'netns', 'pids', name])).stdout.split('\n').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
      for (const pid of pids) process.kill(Number(pid), 'SIGKILL')
      await exec(['ip', 'netns', 'del', name])
    }
  }

  async end({ keep = false } = {}): Promise<void> {
    await this.#stop()
    if (!keep) rmSync(this.dir, { recursive: true, force: true })
  }
}

export class Guest {
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
