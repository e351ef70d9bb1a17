/**
 * What disk format a stream of bytes really is, and whether it is safe to hand to a hypervisor. A tenant's image may name
 * files of the host (a qcow2 backing file, a VMDK extent): the first program that opens it by its own header would read them. So
 * every uploaded image passes here before it becomes active, and again on the host before it is converted.
 *
 * Pure and streaming: `push` each chunk, then `finish`. Keeps the first 256 KiB, the last 512 bytes (a fixed VHD has its header at
 * the end), and for VHDX one 128 KiB window, never more. No platform imports: the same file runs in workerd and in Node.
 */
import { isGpt, probes, type Probe, type Source } from './image-probes.ts'

export type ImageFormat = 'raw' | 'gpt' | 'qcow2' | 'qcow' | 'qed' | 'vmdk' | 'vdi' | 'vhd' | 'vhdx' | 'iso' | 'luks' | 'parallels'

export interface Inspection {
  format: ImageFormat
  /** Size of the disk inside; null where the format does not say (for raw it is the file's own size). */
  virtual_size_bytes: number | null
  /** Why the image must be refused, in one sentence; null is fine. */
  problem: string | null
}

export interface Inspector {
  push(chunk: Uint8Array): void
  /** `size` is the length of the whole file; by default what was pushed. After it the inspector is spent. */
  finish(size?: number): Inspection
}

export const HEAD_BYTES_MAX = 256 * 1024
export const TAIL_BYTES = 512
export const WINDOW_BYTES_MAX = 128 * 1024

export function createInspector(): Inspector {
  const head = new Uint8Array(HEAD_BYTES_MAX)
  let tail = new Uint8Array(0)
  let seen = 0
  let window: { start: number; bytes: Uint8Array } | null = null

  const keepTail = (chunk: Uint8Array): void => {
    if (chunk.length >= TAIL_BYTES) {
      tail = chunk.slice(chunk.length - TAIL_BYTES)
      return
    }
    const joined = new Uint8Array(tail.length + chunk.length)
    joined.set(tail)
    joined.set(chunk, tail.length)
    tail = joined.slice(Math.max(0, joined.length - TAIL_BYTES))
  }
  const keepWindow = (chunk: Uint8Array, at: number): void => {
    if (window === null) return
    const from = Math.max(at, window.start)
    const to = Math.min(at + chunk.length, window.start + window.bytes.length)
    if (from < to) window.bytes.set(chunk.subarray(from - at, to - at), from - window.start)
  }

  return {
    push(chunk) {
      if (chunk.length === 0) return
      if (seen < HEAD_BYTES_MAX) {
        head.set(chunk.subarray(0, HEAD_BYTES_MAX - seen), seen)
        // The window's place is known once the head is whole; it lies behind the head, so nothing of it has passed unless this chunk has it.
        if (seen + chunk.length >= HEAD_BYTES_MAX) window = openWindow(head)
      }
      keepWindow(chunk, seen)
      keepTail(chunk)
      seen += chunk.length
    },
    finish(size = seen) {
      return judge({
        head: head.subarray(0, Math.min(seen, HEAD_BYTES_MAX)),
        // Where only a part was pushed, its last bytes are not the file's.
        tail: size === seen ? tail : new Uint8Array(0),
        window: window !== null && seen >= window.start + window.bytes.length ? window.bytes : null,
      })
    },
  }
}

function openWindow(head: Uint8Array): { start: number; bytes: Uint8Array } | null {
  for (const probe of probes) {
    const start = probe.window?.(head) ?? null
    if (start !== null && start >= HEAD_BYTES_MAX) return { start, bytes: new Uint8Array(WINDOW_BYTES_MAX) }
  }
  return null
}

function judge(source: Source): Inspection {
  const matched: { probe: Probe; at: 'start' | 'inside' | 'end' }[] = []
  for (const probe of probes) {
    const at = probe.match(source)
    if (at !== null) matched.push({ probe, at })
  }
  const gpt = isGpt(source.head)
  const first = matched[0]
  if (first === undefined) return { format: gpt ? 'gpt' : 'raw', virtual_size_bytes: null, problem: null }
  const found = first.probe.read(source)
  if (matched.length > 1) return { ...found, problem: `the bytes look like ${matched.map(({ probe }) => probe.format).join(' and ')} at once` }
  // A partition table inside a header that starts the file is a second meaning; an ISO made bootable from USB, or a disk with a footer, has one by design.
  if (gpt && first.at === 'start') return { ...found, problem: `the bytes look like ${found.format} and a partitioned disk at once` }
  return found
}

/** Claims that mean "the bytes are the disk", whose content must not be a container format. */
const PLAIN_CLAIMS = new Set(['raw', 'aki', 'ari', 'ami', 'ploop'])

/** May an image that claims disk_format hold bytes found to be `format`? An unknown claim never matches. */
export function matches(claimed: string, found: string): boolean {
  const claim = claimed.toLowerCase()
  if (PLAIN_CLAIMS.has(claim)) return found === 'raw' || found === 'gpt' || (claim === 'ploop' && found === 'parallels')
  if (claim === 'qcow2' || claim === 'vmdk' || claim === 'vdi' || claim === 'vhd' || claim === 'vhdx' || claim === 'iso' || claim === 'luks') return claim === found
  return false
}

/** The name qemu-img's -f takes for a Glance disk_format; null where a host cannot convert it. Always given: probing is what an attacker wants. */
export function qemuFormat(diskFormat: string): string | null {
  const claim = diskFormat.toLowerCase()
  if (PLAIN_CLAIMS.has(claim) || claim === 'iso') return 'raw'
  if (claim === 'vhd') return 'vpc'
  return claim === 'qcow2' || claim === 'vmdk' || claim === 'vdi' || claim === 'vhdx' ? claim : null
}
