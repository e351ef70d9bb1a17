/** A ring as an administrator sees it: its devices with the figures that their hosts told last. */
import type { RingStatus } from '../../object/ring-store.ts'
import type { HostRow } from '../hosts/store.ts'

export function ringView(policy: number, status: RingStatus, hosts: readonly HostRow[]) {
  const byId = new Map(hosts.map((host) => [host.id, host]))
  const told = new Map(status.recon.map((one) => [one.host_id, one]))
  const passes = status.recon.flatMap(({ recon }) => recon.devices.map((device) => (status.erasure === null ? device.replicator.finished_ms : (device.reconstructor?.finished_ms ?? 0))))
  const audits = status.recon.flatMap(({ recon }) => recon.devices.map((device) => device.auditor.finished_ms))
  const sum = (of: (device: RingStatus['recon'][number]['recon']['devices'][number]) => number): number => status.recon.reduce((all, { recon }) => all + recon.devices.reduce((some, device) => some + of(device), 0), 0)
  const time = (ms: number | undefined) => (ms === undefined || ms === 0 ? null : new Date(ms).toISOString())
  const { recon: _, rebalanced_ms, ...ring } = status
  return {
    policy, ...ring, rebalanced_at: time(rebalanced_ms),
    progress: {
      oldest_replication_at: time(passes.length === 0 ? undefined : Math.min(...passes)), oldest_audit_at: time(audits.length === 0 ? undefined : Math.min(...audits)), quarantined: sum((device) => device.quarantined),
      async_pending: sum((device) => device.async_pending), pushed: sum((device) => device.replicator.pushed), drained: sum((device) => device.replicator.drained), failures: sum((device) => device.replicator.failures),
    },
    devices: status.devices.map((device) => {
      const host = byId.get(device.host_id)
      const recon = told.get(device.host_id)
      return { ...device, host_name: host?.name ?? null, host_up: host?.up ?? false, told_at: time(recon?.at_ms), recon: recon?.recon.devices.find((one) => one.device === device.device) ?? null }
    }),
  }
}
