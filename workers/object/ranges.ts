/** Byte ranges of a GET: which bytes, and when it is 416 (RFC 9110, swift/common/swob.py). */
export interface ByteRange {
  /** Inclusive. */
  first: number
  last: number
}

export const RANGES_MAX = 50
const OVERLAPS_MAX = 2

/** null: no (valid) Range, send all. []: not satisfiable. */
export function resolveRanges(header: string | null, size: number): ByteRange[] | null {
  if (header === null) return null
  const match = /^\s*bytes\s*=(.*)$/i.exec(header)
  if (match === null) return null
  const specs = (match[1] ?? '').split(',').map((part) => part.trim()).filter((part) => part !== '')
  if (specs.length === 0) return null
  const ranges: ByteRange[] = []
  for (const spec of specs) {
    const parts = /^(\d*)\s*-\s*(\d*)$/.exec(spec)
    if (parts === null || (parts[1] === '' && parts[2] === '')) return null
    if (parts[1] === '') {
      const length = Number(parts[2])
      if (length > 0 && size > 0) ranges.push({ first: Math.max(0, size - length), last: size - 1 })
      continue
    }
    const first = Number(parts[1])
    if (parts[2] !== '' && Number(parts[2]) < first) return null
    if (first < size) ranges.push({ first, last: parts[2] === '' ? size - 1 : Math.min(Number(parts[2]), size - 1) })
  }
  return ranges.length > RANGES_MAX || overlaps(ranges) > OVERLAPS_MAX ? [] : ranges
}

function overlaps(ranges: ByteRange[]): number {
  let count = 0
  for (let i = 0; i < ranges.length; i++) {
    for (let j = i + 1; j < ranges.length; j++) {
      const [a, b] = [ranges[i], ranges[j]]
      if (a !== undefined && b !== undefined && a.first <= b.last && b.first <= a.last) count++
    }
  }
  return count
}

export const contentRange = (range: ByteRange, size: number): string => `bytes ${range.first}-${range.last}/${size}`

/** The pieces of a multipart/byteranges body: what precedes each range, and what ends it; its length is exact. */
export function multipart(ranges: ByteRange[], size: number, contentType: string, boundary: string): { heads: string[]; tail: string; length: number } {
  const heads = ranges.map((range, at) => `${at === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${contentType}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`)
  const tail = `\r\n--${boundary}--\r\n`
  const bytes = (text: string) => new TextEncoder().encode(text).byteLength
  const length = ranges.reduce((sum, range) => sum + range.last - range.first + 1, 0) + heads.reduce((sum, head) => sum + bytes(head), 0) + bytes(tail)
  return { heads, tail, length }
}
