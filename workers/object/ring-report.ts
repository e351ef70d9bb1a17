/** What there is to say of a ring: how well it is balanced, and how well its replicas are kept apart. Pure. */
import { type Assignment, type RingDevice, UNASSIGNED } from './ring.ts'
import { type Node, setTargets, treeOf } from './ring-tree.ts'

/** Per device: what it holds against what its weight asks for. */
export function balanceReport(assignment: Assignment, devices: RingDevice[]): { id: number; parts: number; wanted: number }[] {
  const total = devices.reduce((sum, device) => sum + device.weight, 0)
  const counts = new Map<number, number>()
  let all = 0
  for (const row of assignment) {
    for (const id of row) {
      if (id === UNASSIGNED) continue
      counts.set(id, (counts.get(id) ?? 0) + 1)
      all++
    }
  }
  return devices.map((device) => ({ id: device.id, wanted: total === 0 ? 0 : (all * device.weight) / total, parts: counts.get(device.id) ?? 0 }))
}

export interface Dispersion {
  /** Partitions with more replicas in one failure domain than there need be. */
  crowded: number
  /** The same for each kind of domain. */
  region: number
  zone: number
  host: number
  /** Partitions that have fewer replicas than the ring wants, for lack of devices. */
  short: number
}

/** How well replicas are kept apart. */
export function dispersionReport(assignment: Assignment, devices: RingDevice[], replicas: number, overload: number): Dispersion {
  const live = devices.filter((device) => device.weight > 0)
  const { root, leaves } = treeOf(live)
  setTargets(root, Math.min(replicas, live.length), overload)
  const report: Dispersion = { crowded: 0, region: 0, zone: 0, host: 0, short: 0 }
  const parts = assignment[0]?.length ?? 0
  for (let part = 0; part < parts; part++) {
    const holders = assignment.map((row) => leaves.get(row[part] ?? UNASSIGNED)).filter((leaf) => leaf !== undefined)
    if (holders.length < Math.floor(replicas)) report.short++
    const crowded = [false, false, false]
    for (let level = 0; level < crowded.length; level++) {
      const counts = new Map<Node, number>()
      for (const leaf of holders) {
        const node = leaf.path[level] as Node
        counts.set(node, (counts.get(node) ?? 0) + 1)
        if ((counts.get(node) ?? 0) > node.limit) crowded[level] = true
      }
    }
    if (crowded[0]) report.region++
    if (crowded[1]) report.zone++
    if (crowded[2]) report.host++
    if (crowded.some((one) => one)) report.crowded++
  }
  return report
}
