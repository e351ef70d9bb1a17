/** What the project uses, and how much it may. */
import { get, projectId } from '../api/client.ts'
import { useLoad } from '../components/hooks.ts'
import { Problem } from '../components/notice.tsx'
import { session } from '../api/session.ts'

interface Gauge {
  label: string
  used: number
  /** -1 is no limit. */
  limit: number
  unit: string
}

type Absolute = { limits: { absolute: Record<string, number> } }
type Details = { quota: Record<string, { limit: number; used: number }> }

async function load(): Promise<Gauge[]> {
  const id = projectId()
  const [compute, volume, network] = await Promise.all([get<Absolute>('/compute/v2.1/limits'), get<Absolute>(`/volume/v3/${id}/limits`), get<Details>(`/network/v2.0/quotas/${id}/details.json`)])
  const absolute = ({ limits }: Absolute, label: string, used: string, limit: string, unit = ''): Gauge => ({ label, used: limits.absolute[used] ?? 0, limit: limits.absolute[limit] ?? -1, unit })
  const detail = (label: string, name: string): Gauge => ({ label, used: network.quota[name]?.used ?? 0, limit: network.quota[name]?.limit ?? -1, unit: '' })
  return [
    absolute(compute, 'Servers', 'totalInstancesUsed', 'maxTotalInstances'), absolute(compute, 'Processors', 'totalCoresUsed', 'maxTotalCores'), absolute(compute, 'Memory', 'totalRAMUsed', 'maxTotalRAMSize', ' MiB'),
    absolute(volume, 'Volumes', 'totalVolumesUsed', 'maxTotalVolumes'), absolute(volume, 'Volume storage', 'totalGigabytesUsed', 'maxTotalVolumeGigabytes', ' GiB'), absolute(volume, 'Snapshots', 'totalSnapshotsUsed', 'maxTotalSnapshots'),
    detail('Networks', 'network'), detail('Ports', 'port'), detail('Routers', 'router'), detail('Floating IPs', 'floatingip'), detail('Security groups', 'security_group'),
  ]
}

export function Overview() {
  const { data, error } = useLoad(load, 'overview', 10_000)
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>Overview of {session()?.project?.name}</h1>
      <Problem error={error} />
      {data === null ? error === null && <p class="empty">Loading …</p> : (
        <ul class="gauges">
          {data.map(({ label, used, limit, unit }) => (
            <li key={label}>
              <span id={`gauge-${label}`}>{label}</span>
              {limit >= 0 && <meter aria-labelledby={`gauge-${label}`} min={0} max={Math.max(1, limit)} high={limit * 0.9} value={used} />}
              <span class="figures">{used}{limit >= 0 ? ` of ${limit}` : ''}{unit}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
