/** What every volume driver refuses in the same words: ids become file names, and export fields become arguments of the target. */
import type { ExportSpec, VolumeSpec } from '../../../schema/agent/desired.ts'
import { Fault } from '../../../schema/values/fault.ts'

export const GIB = 1024 ** 3
export const VOLUME_GIB_MAX = 65_536
/** tgt keeps LUN 0 for the controller. */
export const LUN_MIN = 1
export const LUN_MAX = 255

export function checkId(id: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(id)) throw new Fault('bad_request', `'${id.slice(0, 64)}' is not a volume id`)
  return id
}

export function checkSize(spec: VolumeSpec): number {
  if (!Number.isInteger(spec.size_gib) || spec.size_gib < 1 || spec.size_gib > VOLUME_GIB_MAX) {
    throw new Fault('bad_request', `a volume is 1 to ${VOLUME_GIB_MAX} GiB, not ${spec.size_gib}`)
  }
  return spec.size_gib * GIB
}

/** tgt joins its parameters with commas, so neither user nor secret may have one. */
export function checkExport(spec: ExportSpec): void {
  const bad = (field: string) => new Fault('bad_request', `the export's ${field} is not usable`)
  if (!/^iqn\.\d{4}-\d{2}\.[a-z0-9.-]+(:[A-Za-z0-9.:_-]+)?$/.test(spec.iqn) || spec.iqn.length > 223) throw bad('iqn')
  if (!Number.isInteger(spec.lun) || spec.lun < LUN_MIN || spec.lun > LUN_MAX) throw bad('lun')
  if (!/^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/.test(spec.chap_user)) throw bad('chap_user')
  if (!/^[A-Za-z0-9+/=._-]{12,128}$/.test(spec.chap_secret)) throw bad('chap_secret')
}

/** A volume may be larger than its source, never smaller. */
export function checkFits(sourceBytes: number, sizeBytes: number): void {
  if (sourceBytes > sizeBytes) throw new Fault('bad_request', `the source has ${sourceBytes} bytes, more than the volume's ${sizeBytes}`)
}

export const noSuchVolume = (id: string): Fault => new Fault('not_found', `volume ${id} is not on this host`)
