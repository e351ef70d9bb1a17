/**
 * VMDK, the format with most ways to point elsewhere: a text descriptor names extents (files) and a parent. Accepted are only
 * the two self-contained kinds, monolithicSparse and streamOptimized, as Nova's and Cinder's vmdk_allowed_types do by default.
 */
import type { Inspection } from './image-format.ts'
import { hasText, shorter, sized, text, u64le } from './image-probes.ts'

const SECTOR_BYTES = 512n
const DESCRIPTOR_BYTES_MAX = 64 * 1024
const CREATE_TYPES = new Set(['monolithicsparse', 'streamoptimized'])
const NO_PARENT = 'ffffffff'

export function readVmdk(head: Uint8Array): Inspection {
  const refuse = (problem: string, size = 0n): Inspection => ({ ...sized('vmdk', size, problem), virtual_size_bytes: size === 0n ? null : sized('vmdk', size, null).virtual_size_bytes })
  if (hasText(head, 0, 'COWD')) return refuse('the vmdk image is of the old ESX kind')
  if (!hasText(head, 0, 'KDMV')) return refuse('the vmdk image is a descriptor that names other files')
  if (head.length < 512) return shorter('vmdk')
  const capacity = u64le(head, 12) * SECTOR_BYTES
  const start = u64le(head, 28) * SECTOR_BYTES
  const length = u64le(head, 36) * SECTOR_BYTES
  // Readers take a capacity of 0 to mean "read the descriptor and open what it names".
  if (capacity === 0n) return refuse('the vmdk image has no size of its own')
  if (start === 0n || length === 0n) return refuse('the vmdk image has no descriptor', capacity)
  if (length > BigInt(DESCRIPTOR_BYTES_MAX) || start + length > BigInt(head.length)) return refuse('the vmdk descriptor is out of place', capacity)
  return sized('vmdk', capacity, descriptorProblem(text(head, Number(start), Number(length))))
}

/** Null where the descriptor describes exactly one sparse extent inside the same file, and no parent. */
export function descriptorProblem(descriptor: string): string | null {
  let createType: string | null = null
  let extents = 0
  for (const raw of descriptor.split(/\r\n|\n|\r/)) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const extent = /^(RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)(.*)$/i.exec(line)
    if (extent !== null) {
      extents++
      const problem = extentProblem(extent[2] ?? '', extent[3] ?? '')
      if (problem !== null) return problem
      continue
    }
    const pair = /^([\w.]+)\s*=\s*"?([^"]*)"?$/.exec(line)
    if (pair === null) return 'the vmdk descriptor has a line that is not understood'
    const key = (pair[1] ?? '').toLowerCase()
    const value = (pair[2] ?? '').trim()
    if (key === 'parentfilenamehint') return 'the vmdk image depends on another image'
    if (key === 'parentcid' && value.toLowerCase() !== NO_PARENT) return 'the vmdk image depends on another image'
    if (key === 'createtype') {
      if (createType !== null) return 'the vmdk descriptor has two types'
      createType = value
    }
  }
  if (createType === null) return 'the vmdk descriptor has no type'
  if (!CREATE_TYPES.has(createType.toLowerCase())) return 'the vmdk image is of a type that names other files'
  return extents === 1 ? null : `the vmdk descriptor has ${extents} extents`
}

function extentProblem(type: string, rest: string): string | null {
  if (type.toUpperCase() !== 'SPARSE') return 'the vmdk image has an extent outside of itself'
  const name = /^\s+"([^"]*)"$/.exec(rest)?.[1]
  if (name === undefined || name.includes('/') || name.includes('\\')) return 'the vmdk image has an extent outside of itself'
  return null
}
