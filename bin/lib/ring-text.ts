/** A ring in lines of text for `skyhook ring status`. Pure. */
export interface RingDeviceBody {
  id: number
  host_name: string | null
  host_up: boolean
  device: string
  region: number
  zone: string
  weight: number
  weight_set: number | null
  drained: boolean
  removed: boolean
  parts: number
  wanted: number
  moving: number
  told_at: string | null
  recon: null | {
    device: string
    error: string | null
    quarantined: number
    async_pending: number
    auditor: { passes: number; finished_ms: number; took_ms: number; files: number; bytes: number; quarantined: number }
    replicator: { passes: number; finished_ms: number; took_ms: number; partitions: number; pushed: number; filled?: number; drained: number; failures: number }
    /** Absent from hosts of an earlier release. */
    resealer?: { passes: number; finished_ms: number; files: number; sealed: number; left: number; failures: number; root: string }
    /** Absent from hosts of an earlier release. */
    reconstructor?: { passes: number; finished_ms: number; partitions: number; rebuilt: number; pushed: number; filled?: number; drained: number; failures: number }
  }
}

export interface RingBody {
  policy: number
  version: number
  part_power: number
  replicas: number
  /** Fragments in place of copies. */
  erasure?: { data: number; parity: number } | null
  components?: { name: string; regions: number[]; replicas: number }[] | null
  min_part_hours: number
  overload: number
  moved: number
  moving: number
  balance_percent: number
  rebalanced_at: string | null
  dispersion: { crowded: number; region: number; zone: number; host: number; short: number }
  progress: { oldest_replication_at: string | null; oldest_audit_at: string | null; quarantined: number; async_pending: number; pushed: number; drained: number; failures: number }
  devices: RingDeviceBody[]
}

const SECOND_MS = 1_000
const MINUTE_S = 60
const HOUR_S = 3_600

export function ago(at: number | string | null, now_ms: number): string {
  const ms = typeof at === 'string' ? Date.parse(at) : at
  if (ms === null || ms === 0 || Number.isNaN(ms)) return 'never'
  const seconds = Math.max(0, Math.round((now_ms - ms) / SECOND_MS))
  if (seconds < MINUTE_S) return `${seconds} s ago`
  return seconds < HOUR_S ? `${Math.round(seconds / MINUTE_S)} min ago` : `${(seconds / HOUR_S).toFixed(1)} h ago`
}

function stateOf(device: RingDeviceBody): string {
  const words = [device.removed ? 'removed' : device.drained ? 'drained' : 'in', device.host_up ? '' : 'host down', device.recon?.error ?? '', device.moving > 0 ? `${device.moving} partitions leaving` : '']
  return words.filter((word) => word !== '').join(', ')
}

function deviceLines(device: RingDeviceBody, now_ms: number): string[] {
  const { recon } = device
  const head = `  ${String(device.id).padStart(4)}  ${`${device.host_name ?? '?'}/${device.device}`.padEnd(28)} r${device.region} ${device.zone.padEnd(8)} weight ${device.weight}${device.weight_set === null ? '' : ' (set)'}  ${device.parts} of ${device.wanted} partitions  ${stateOf(device)}`
  if (recon === null) return [head]
  const { reconstructor } = recon
  const rebuilt = reconstructor === undefined || reconstructor.partitions === 0 ? '' : `; reconstructed ${ago(reconstructor.finished_ms, now_ms)} (rebuilt ${reconstructor.rebuilt}, pushed ${reconstructor.pushed}, ${reconstructor.filled ?? 0} of them in place of lost devices, drained ${reconstructor.drained}, ${reconstructor.failures} failures)`
  const { resealer } = recon
  const resealed = resealer === undefined || resealer.files === 0 ? '' : `; sealed anew ${ago(resealer.finished_ms, now_ms)} under ${resealer.root} (${resealer.sealed}, ${resealer.left} left, ${resealer.failures} failures)`
  const rate = recon.auditor.took_ms > 0 ? ` ${(recon.auditor.bytes / recon.auditor.passes / 1e6 / (recon.auditor.took_ms / SECOND_MS)).toFixed(1)} MB/s` : ''
  return [head, `        replicated ${ago(recon.replicator.finished_ms, now_ms)} (pushed ${recon.replicator.pushed}, ${recon.replicator.filled ?? 0} of them in place of lost devices, drained ${recon.replicator.drained}, ${recon.replicator.failures} failures)${rebuilt}${resealed}; audited ${ago(recon.auditor.finished_ms, now_ms)}${rate}; quarantined ${recon.quarantined}; updates pending ${recon.async_pending}`]
}

export function ringLines(ring: RingBody, now_ms: number): string[] {
  const { dispersion, progress } = ring
  const parts = 2 ** ring.part_power
  const percent = (count: number) => `${((count / parts) * 100).toFixed(2)}%`
  return [
    `ring ${ring.policy} version ${ring.version}: ${parts} partitions, ${ring.erasure == null ? `${ring.replicas} replicas` : `${ring.erasure.data} data and ${ring.erasure.parity} parity fragments`}, min_part_hours ${ring.min_part_hours}, overload ${ring.overload}; rebalanced ${ago(ring.rebalanced_at, now_ms)} (${ring.moved} moved)`,
    ...(ring.components ?? []).map(({ name, regions, replicas }) => `  component ${name}: ${replicas} replicas in region ${regions.join(', ')}`),
    `  balance ${ring.balance_percent}%  dispersion ${percent(dispersion.crowded)} (region ${percent(dispersion.region)}, zone ${percent(dispersion.zone)}, host ${percent(dispersion.host)})  with too few replicas ${dispersion.short}  leaving ${ring.moving}`,
    `  oldest replication pass ${ago(progress.oldest_replication_at, now_ms)}, oldest audit ${ago(progress.oldest_audit_at, now_ms)}; quarantined ${progress.quarantined}, updates pending ${progress.async_pending}, replication failures ${progress.failures}`,
    ...ring.devices.flatMap((device) => deviceLines(device, now_ms)),
  ]
}
