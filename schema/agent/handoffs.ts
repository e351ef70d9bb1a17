/** Who stands in for a partition's primaries, in which order. Writers, readers and hosts must agree on it: what one leaves there the others look for there. Pure. */
export interface HandoffDevice {
  id: number
  host_id: string
  zone: string
  weight: number
}

/** Devices beyond the primaries, nearest to what the ring would choose: other hosts and zones first, spread by partition. */
export function handoffs<D extends HandoffDevice>(devices: readonly D[], primaries: readonly D[], partition: number): D[] {
  const used = new Set(primaries.map((device) => device.id))
  const [hosts, zones] = [new Set(primaries.map((device) => device.host_id)), new Set(primaries.map((device) => device.zone))]
  const turn = (id: number) => Math.imul(id + 1, 0x9e3779b1) ^ Math.imul(partition + 1, 0x85ebca6b)
  return devices
    .filter((device) => device.weight > 0 && !used.has(device.id))
    .map((device) => ({ device, rank: (hosts.has(device.host_id) ? 2 : 0) + (zones.has(device.zone) ? 1 : 0), turn: turn(device.id) >>> 0 }))
    .sort((a, b) => a.rank - b.rank || a.turn - b.turn)
    .map(({ device }) => device)
}
