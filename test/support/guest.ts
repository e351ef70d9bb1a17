/** A real guest of the shipped cloud, through the openstack command and ssh, as a user reaches it. */
import { spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Shipped } from './shipped.ts'

/** Guests boot under emulation here, on a machine that may be busy. */
export const BOOT_TIMEOUT_MS = 240_000

export class Guest {
  readonly cloud: Shipped
  readonly keyPath: string
  floatingIp = ''
  serverId = ''

  constructor(cloud: Shipped) {
    this.cloud = cloud
    this.keyPath = join(cloud.home, 'guest-key.pem')
  }

  /** The openstack command; throws with what it said. */
  os(...args: string[]): string {
    const done = spawnSync('openstack', args, { env: this.cloud.env, encoding: 'utf8', timeout: 300_000 })
    if (done.status !== 0) throw new Error(`openstack ${args.join(' ')}: ${done.stderr || done.error}`)
    return done.stdout.trim()
  }

  async prepare(): Promise<void> {
    await this.cloud.until('the image guest', async () => {
      const state = this.cloud.state()
      if (state.image === 'failed') throw new Error(state.image_problem)
      return state.image === 'ready'
    }, 180_000)
    writeFileSync(this.keyPath, `${this.os('keypair', 'create', 'k')}\n`)
    chmodSync(this.keyPath, 0o600)
    this.os('security', 'group', 'rule', 'create', '--protocol', 'tcp', '--dst-port', '22', 'default')
    this.os('security', 'group', 'rule', 'create', '--protocol', 'icmp', 'default')
  }

  async create(name: string): Promise<void> {
    this.serverId = this.os('server', 'create', '--image', 'guest', '--flavor', 'm1.tiny', '--network', 'private', '--key-name', 'k', '--wait', name, '-f', 'value', '-c', 'id').split('\n').at(-1) ?? ''
    this.floatingIp = this.os('floating', 'ip', 'create', 'public', '-f', 'value', '-c', 'floating_ip_address')
    this.os('server', 'add', 'floating', 'ip', this.serverId, this.floatingIp)
  }

  /** Runs a command in the guest; null while it cannot be reached. */
  ssh(command: string): string | null {
    const options = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'ConnectTimeout=5', '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR']
    const done = spawnSync('ssh', [...options, '-i', this.keyPath, `guest@${this.floatingIp}`, command], { encoding: 'utf8', timeout: 60_000 })
    return done.status === 0 ? done.stdout.trim() : null
  }

  async reachable(): Promise<void> {
    await this.cloud.until(`ssh guest@${this.floatingIp}`, async () => this.ssh('true') !== null, BOOT_TIMEOUT_MS)
  }
}
