/** Flavors on the wire, by microversion. */
import { linksOf } from '../common/links.ts'
import type { Flavor } from './store.ts'

export const briefFlavor = (origin: string, minor: number, flavor: Flavor) => ({
  id: flavor.id, name: flavor.name, links: linksOf(origin, 'flavors', flavor.id), ...(minor >= 55 ? { description: flavor.description } : {}),
})

export const fullFlavor = (origin: string, minor: number, flavor: Flavor, withSpecs: boolean) => ({
  ...briefFlavor(origin, minor, flavor),
  ram: flavor.ram_mib, vcpus: flavor.vcpus, disk: flavor.disk_gib,
  // Below 2.75 no swap is an empty text.
  swap: flavor.swap_mib === 0 && minor < 75 ? '' : flavor.swap_mib,
  'OS-FLV-EXT-DATA:ephemeral': flavor.ephemeral_gib, 'OS-FLV-DISABLED:disabled': flavor.disabled, 'os-flavor-access:is_public': flavor.is_public, rxtx_factor: flavor.rxtx_factor,
  ...(minor >= 61 && withSpecs ? { extra_specs: flavor.extra_specs } : {}),
})
