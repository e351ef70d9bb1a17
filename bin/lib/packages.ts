/** Debian packages that a real host needs: found by the programs they bring, installed where missing. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { Problem } from './problem.ts'

/** Program (or file) -> package. */
const NEEDED: [string, string][] = [
  ['qemu-system-x86_64', 'qemu-system-x86'], ['qemu-img', 'qemu-utils'], ['/usr/share/doc/qemu-block-extra', 'qemu-block-extra'], ['ovs-vsctl', 'openvswitch-switch'], ['dnsmasq', 'dnsmasq-base'], ['nft', 'nftables'],
  ['ip', 'iproute2'], ['ethtool', 'ethtool'], ['tgtd', 'tgt'], ['genisoimage', 'genisoimage'], ['conntrack', 'conntrack'],
  // For the guest image.
  ['syslinux', 'syslinux'], ['/usr/lib/syslinux/mbr/mbr.bin', 'syslinux-common'], ['mcopy', 'mtools'], ['mkfs.fat', 'dosfstools'], ['sfdisk', 'fdisk'], ['cpio', 'cpio'], ['mke2fs', 'e2fsprogs'], ['depmod', 'kmod'],
]

const DIRS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin']
const has = (program: string) => (program.startsWith('/') ? existsSync(program) : DIRS.some((dir) => existsSync(`${dir}/${program}`)))

export const missingPackages = (): string[] => [...new Set(NEEDED.filter(([program]) => !has(program)).map(([, name]) => name))]

export function installPackages(say: (text: string) => void): void {
  const missing = missingPackages()
  if (missing.length === 0) return
  if (!has('apt-get')) throw new Problem(`these programs are missing and this is no Debian or Ubuntu machine: ${missing.join(', ')}. Install them, or use --hosts sim:3.`)
  say(`installing Debian packages: ${missing.join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync('apt-get', ['update', '-q'], { stdio: ['ignore', 'ignore', 'inherit'], env })
  const done = spawnSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], { stdio: ['ignore', 'inherit', 'inherit'], env })
  if (done.status !== 0) throw new Problem(`apt-get could not install ${missing.join(' ')}; see the lines above.`)
}
