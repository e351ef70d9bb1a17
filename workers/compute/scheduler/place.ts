/** Decides where a server goes: filters, then weighs. Pure: the same request and hosts give the same answer, so a dry run is the real thing. */
import { FILTERS } from './filters/index.ts'
import type { FunnelStep, HostState, PlaceRequest, Placement } from './types.ts'
import { WEIGHERS } from './weighers/index.ts'

export const ALTERNATES_MAX = 2
export const NO_VALID_HOST = 'No valid host was found. There are not enough hosts available.'

export type Decision = Placement | { host: null; funnel: FunnelStep[] }

export function place(request: PlaceRequest, hosts: readonly HostState[]): Decision {
  const funnel: FunnelStep[] = []
  let left = hosts
  for (const filter of FILTERS) {
    const start = left.length
    left = left.filter((host) => filter.passes(host, request))
    funnel.push({ filter: filter.name, start, end: left.length })
    if (left.length === 0) return { host: null, funnel }
  }
  const ranked = rank(request, left)
  const [best] = ranked
  if (best === undefined) return { host: null, funnel }
  return { host: best.host, alternates: ranked.slice(1, 1 + ALTERNATES_MAX).map(({ host }) => host.id), funnel }
}

/** Best first; equals by name, so that the answer does not depend on the order of rows. */
export function rank(request: PlaceRequest, hosts: readonly HostState[]): { host: HostState; weight: number }[] {
  const weights = hosts.map(() => 0)
  for (const weigher of WEIGHERS) {
    const raw = hosts.map((host) => weigher.weigh(host, request))
    const min = Math.min(...raw)
    const span = Math.max(...raw) - min
    if (span > 0) for (const [i, value] of raw.entries()) weights[i] = (weights[i] ?? 0) + (weigher.multiplier * (value - min)) / span
  }
  return hosts.map((host, i) => ({ host, weight: weights[i] ?? 0 })).sort((a, b) => b.weight - a.weight || (a.host.name < b.host.name ? -1 : 1))
}

/** For people: 'ComputeFilter: 3->3, VCPU: 3->0'. Filters that removed nothing are left out but for the first. */
export const funnelText = (funnel: readonly FunnelStep[]): string => funnel.filter((step, i) => i === 0 || step.end < step.start).map((step) => `${step.filter}: ${step.start}->${step.end}`).join(', ')
