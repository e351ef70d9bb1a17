/**
 * One probe per disk format: does it match, and what do its headers say. Every read is bounds-checked and answers 0 beyond
 * the end, so that no header, however broken, throws. Field offsets are those of the formats' published specifications.
 */
import type { ImageFormat, Inspection } from './image-format.ts'
import { readVmdk } from './image-vmdk.ts'

export interface Source {
  /** The first bytes, at most HEAD_BYTES_MAX. */
  head: Uint8Array
  /** The last TAIL_BYTES bytes. */
  tail: Uint8Array
  /** The window that a probe asked for, complete; else null. */
  window: Uint8Array | null
}

export interface Probe {
  format: ImageFormat
  /** Where the signature sits: `start` of the file, `inside` it, or at its `end`. */
  match(source: Source): 'start' | 'inside' | 'end' | null
  read(source: Source): Inspection
  /** Offset of metadata beyond the head that read() wants to see. */
  window?(head: Uint8Array): number | null
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const fits = (bytes: Uint8Array, at: number, length: number): boolean => at >= 0 && at + length <= bytes.length

export const u16le = (bytes: Uint8Array, at: number): number => (fits(bytes, at, 2) ? view(bytes).getUint16(at, true) : 0)
export const u32le = (bytes: Uint8Array, at: number): number => (fits(bytes, at, 4) ? view(bytes).getUint32(at, true) : 0)
export const u64le = (bytes: Uint8Array, at: number): bigint => (fits(bytes, at, 8) ? view(bytes).getBigUint64(at, true) : 0n)
const u32be = (bytes: Uint8Array, at: number): number => (fits(bytes, at, 4) ? view(bytes).getUint32(at) : 0)
const u64be = (bytes: Uint8Array, at: number): bigint => (fits(bytes, at, 8) ? view(bytes).getBigUint64(at) : 0n)

/** ASCII text at an offset, compared byte by byte. */
export function hasText(bytes: Uint8Array, at: number, text: string): boolean {
  if (!fits(bytes, at, text.length)) return false
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false
  return true
}

/** Reads that need the whole header say so rather than judge zeros. */
export const shorter = (format: ImageFormat): Inspection => ({ format, virtual_size_bytes: null, problem: `the ${format} header is cut short` })

/** Sizes beyond what a number holds exactly are nonsense on any host: a problem, not a size. */
export function sized(format: ImageFormat, size: bigint, problem: string | null): Inspection {
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) return { format, virtual_size_bytes: null, problem: problem ?? `the ${format} header claims an impossible size` }
  return { format, virtual_size_bytes: Number(size), problem }
}

/** GUIDs are stored with their first three groups little-endian; compared as hex of the stored bytes. */
const hexAt = (bytes: Uint8Array, at: number, length: number): string => {
  let text = ''
  if (fits(bytes, at, length)) for (let i = at; i < at + length; i++) text += (bytes[i] ?? 0).toString(16).padStart(2, '0')
  return text
}

/** A protective MBR and the EFI header behind it, at either common sector size. */
export const isGpt = (head: Uint8Array): boolean => u16le(head, 510) === 0xaa55 && (hasText(head, 512, 'EFI PART') || hasText(head, 4096, 'EFI PART'))

// ---------------------------------------------------------------- qcow2, qcow, qed

const QCOW_MAGIC = 0x514649fb
const QCOW2_V3_HEADER_BYTES = 104
/** dirty, corrupt, external data file, compression type, extended L2. */
const QCOW2_DATA_FILE = 4n
const QCOW2_KNOWN_INCOMPATIBLE = 0x1fn
const QCOW2_CORRUPT = 2n
const QCOW2_EXTENSIONS_MAX = 64
const EXTENSION_END = 0
const EXTENSION_BACKING_FORMAT = 0xe2792aca
const EXTENSION_DATA_FILE = 0x44415441

function qcow2Problem(head: Uint8Array): string | null {
  if (u64be(head, 8) !== 0n || u32be(head, 16) !== 0) return 'the qcow2 image has a backing file'
  const clusterBits = u32be(head, 20)
  if (clusterBits < 9 || clusterBits > 21) return 'the qcow2 image has an impossible cluster size'
  if (u32be(head, 32) !== 0) return 'the qcow2 image is encrypted'
  const version = u32be(head, 4)
  if (version === 2) return null
  if (version !== 3) return `qcow2 version ${version} is not known`
  if (head.length < QCOW2_V3_HEADER_BYTES) return 'the qcow2 header is cut short'
  const features = u64be(head, 72)
  if ((features & QCOW2_DATA_FILE) !== 0n) return 'the qcow2 image has an external data file'
  if ((features & ~QCOW2_KNOWN_INCOMPATIBLE) !== 0n) return 'the qcow2 image needs features that are not known'
  if ((features & QCOW2_CORRUPT) !== 0n) return 'the qcow2 image is marked corrupt'
  return qcow2ExtensionProblem(head, u32be(head, 100))
}

function qcow2ExtensionProblem(head: Uint8Array, headerLength: number): string | null {
  if (headerLength < QCOW2_V3_HEADER_BYTES || headerLength > head.length) return 'the qcow2 header length is impossible'
  let at = headerLength
  for (let i = 0; i < QCOW2_EXTENSIONS_MAX && fits(head, at, 8); i++) {
    const type = u32be(head, at)
    if (type === EXTENSION_END) return null
    if (type === EXTENSION_DATA_FILE) return 'the qcow2 image has an external data file'
    if (type === EXTENSION_BACKING_FORMAT) return 'the qcow2 image has a backing file'
    at += 8 + Math.ceil(u32be(head, at + 4) / 8) * 8
  }
  return 'the qcow2 header extensions do not end'
}

const qcow2: Probe = {
  format: 'qcow2',
  match: ({ head }) => (u32be(head, 0) === QCOW_MAGIC && u32be(head, 4) !== 1 ? 'start' : null),
  read: ({ head }) => (head.length < 72 ? shorter('qcow2') : sized('qcow2', u64be(head, 24), qcow2Problem(head))),
}

const qcow: Probe = {
  format: 'qcow',
  match: ({ head }) => (u32be(head, 0) === QCOW_MAGIC && u32be(head, 4) === 1 ? 'start' : null),
  read: () => ({ format: 'qcow', virtual_size_bytes: null, problem: 'qcow version 1 is not accepted' }),
}

const qed: Probe = {
  format: 'qed',
  match: ({ head }) => (hasText(head, 0, 'QED\0') ? 'start' : null),
  read: ({ head }) => sized('qed', u64le(head, 48), 'qed is not accepted'),
}

// ---------------------------------------------------------------- vmdk, vdi, vhd, parallels, luks

/** A bare descriptor: comments, then a version line. QEMU's block/vmdk.c takes one for VMDK even without the usual first comment. */
const VMDK_DESCRIPTOR = /^(?:[ \t]*(?:#[^\n]*)?\r?\n)*(?:version=\d|#[ \t]*disk[ \t]+descriptorfile)/i

const vmdk: Probe = {
  format: 'vmdk',
  match: ({ head }) => (hasText(head, 0, 'KDMV') || hasText(head, 0, 'COWD') || VMDK_DESCRIPTOR.test(text(head, 0, 2048)) ? 'start' : null),
  read: ({ head }) => readVmdk(head),
}

/** Bytes as Latin-1 text, up to the first NUL. */
export function text(bytes: Uint8Array, at: number, length: number): string {
  let out = ''
  for (let i = at; i < at + length && i < bytes.length; i++) {
    if (bytes[i] === 0) break
    out += String.fromCharCode(bytes[i] ?? 0)
  }
  return out
}

const VDI_SIGNATURE = 0xbeda107f
const ZERO_UUID = '0'.repeat(32)

function vdiProblem(head: Uint8Array): string | null {
  const type = u32le(head, 0x4c)
  if (type !== 1 && type !== 2) return 'the vdi image depends on another image'
  return hexAt(head, 0x1a8, 16) === ZERO_UUID && hexAt(head, 0x1b8, 16) === ZERO_UUID ? null : 'the vdi image depends on another image'
}

const vdi: Probe = {
  format: 'vdi',
  match: ({ head }) => (u32le(head, 0x40) === VDI_SIGNATURE ? 'start' : null),
  read: ({ head }) => (head.length < 512 ? shorter('vdi') : sized('vdi', u64le(head, 0x170), vdiProblem(head))),
}

const VHD_FIXED = 2
const VHD_DYNAMIC = 3

const vhd: Probe = {
  format: 'vhd',
  match: ({ head, tail }) => (hasText(head, 0, 'conectix') ? 'start' : hasText(tail, 0, 'conectix') && tail.length === 512 ? 'end' : null),
  read: ({ head, tail }) => {
    // A dynamic disk repeats its footer at the start; readers differ in which one they trust, so both must be the same thing.
    const footer = hasText(head, 0, 'conectix') ? head : tail
    if (footer.length < 512) return shorter('vhd')
    const type = u32be(footer, 60)
    const known = footer === head ? type === VHD_DYNAMIC : type === VHD_FIXED
    return sized('vhd', u64be(footer, 48), known ? null : type === 4 ? 'the vhd image depends on another image' : `vhd type ${type} is not accepted here`)
  },
}

const parallels: Probe = {
  format: 'parallels',
  match: ({ head }) => (hasText(head, 0, 'WithoutFreeSpace') || hasText(head, 0, 'WithouFreSpacExt') ? 'start' : null),
  read: ({ head }) => sized('parallels', u64le(head, 36) * 512n, null),
}

const luks: Probe = {
  format: 'luks',
  match: ({ head }) => (hasText(head, 0, 'LUKS\xba\xbe') ? 'start' : null),
  read: ({ head }) => ({ format: 'luks', virtual_size_bytes: null, problem: head.length < 512 ? 'the luks header is cut short' : null }),
}

// ---------------------------------------------------------------- vhdx

const VHDX_REGION_TABLE = 192 * 1024
const VHDX_METADATA_REGION = '06a27c8b90479a4bb8fe575f050f886e'
const VHDX_FILE_PARAMETERS = '3767a1ca36fa434db3b633f0aa44e76b'
const VHDX_VIRTUAL_SIZE = '2442a52f1bcd7648b2115dbed83bf4b8'
const VHDX_PARENT_LOCATOR = '2d5fd3a80bb34d45abf7d3d84834ab0c'
const VHDX_REGIONS_MAX = 2047
const VHDX_ITEMS_MAX = 2047
const VHDX_HAS_PARENT = 2

function vhdxMetadataOffset(head: Uint8Array): number | null {
  if (!hasText(head, 0, 'vhdxfile')) return null
  const table = VHDX_REGION_TABLE
  if (!hasText(head, table, 'regi')) return null
  const count = Math.min(u32le(head, table + 8), VHDX_REGIONS_MAX)
  for (let i = 0; i < count; i++) {
    const entry = table + 16 + i * 32
    if (hexAt(head, entry, 16) !== VHDX_METADATA_REGION) continue
    const offset = u64le(head, entry + 16)
    return offset <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(offset) : null
  }
  return null
}

const vhdx: Probe = {
  format: 'vhdx',
  match: ({ head }) => (hasText(head, 0, 'vhdxfile') ? 'start' : null),
  window: vhdxMetadataOffset,
  read: ({ window }) => {
    const unread: Inspection = { format: 'vhdx', virtual_size_bytes: null, problem: 'the vhdx metadata is missing or out of place' }
    if (window === null || !hasText(window, 0, 'metadata')) return unread
    const count = Math.min(u16le(window, 10), VHDX_ITEMS_MAX)
    let size: bigint | null = null
    let problem: string | null = null
    for (let i = 0; i < count; i++) {
      const entry = 32 + i * 32
      const item = hexAt(window, entry, 16)
      const offset = u32le(window, entry + 16)
      if (item === VHDX_VIRTUAL_SIZE && fits(window, offset, 8)) size = u64le(window, offset)
      if (item === VHDX_PARENT_LOCATOR) problem = 'the vhdx image depends on another image'
      if (item === VHDX_FILE_PARAMETERS && (u32le(window, offset + 4) & VHDX_HAS_PARENT) !== 0) problem = 'the vhdx image depends on another image'
    }
    return size === null ? unread : sized('vhdx', size, problem)
  },
}

// ---------------------------------------------------------------- iso9660

const ISO_DESCRIPTORS = 0x8000

const iso: Probe = {
  format: 'iso',
  match: ({ head }) => (hasText(head, ISO_DESCRIPTORS + 1, 'CD001') ? 'inside' : null),
  read: ({ head }) => {
    // The volume's size stands in the primary descriptor (type 1), which is first on every disc in practice.
    if (head[ISO_DESCRIPTORS] !== 1) return { format: 'iso', virtual_size_bytes: null, problem: null }
    return sized('iso', BigInt(u32le(head, ISO_DESCRIPTORS + 80)) * BigInt(u16le(head, ISO_DESCRIPTORS + 128)), null)
  },
}

/** In the order in which a doubtful image is named. */
export const probes: readonly Probe[] = [qcow2, qcow, qed, vmdk, vdi, vhdx, vhd, parallels, luks, iso]
