/** The Range header of a download, resolved against the size. One range only, as upstream. Pure. */
import { Fault } from '../../../schema/values/fault.ts'

/** First and last byte, inclusive; null is everything. */
export function parseRange(header: string | null, size: number): [number, number] | null {
  if (header === null) return null
  const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim())
  const refuse = () => new Fault('range_not_satisfiable', `Failed to read ${header} from the image: its size is ${size} bytes.`, { headers: { 'content-range': `bytes */${size}` } })
  if (match === null || (match[1] === '' && match[2] === '')) throw refuse()
  const [from, to] = [match[1] === '' ? null : Number(match[1]), match[2] === '' ? null : Number(match[2])]
  if (from === null) {
    if (to === 0 || size === 0) throw refuse()
    return [Math.max(0, size - (to ?? 0)), size - 1]
  }
  if (from >= size || (to !== null && to < from)) throw refuse()
  return [from, Math.min(to ?? size - 1, size - 1)]
}
