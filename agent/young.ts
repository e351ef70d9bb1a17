/**
 * Every 64 KiB that a socket gives are a buffer of their own: for V8 a few small objects, but many bytes outside its heap, which make it mark the whole heap, on other threads too, every
 * few MiB of a body (Node 24: a third of the CPU of a large upload). They are all dead by then; a look at the young ones alone, which costs a millisecond, frees them. Does
 * nothing where the process was not started with --expose-gc.
 */
const collect = (globalThis as { gc?: (options: { type: 'minor' }) => void }).gc
/** How many bytes may wait: few enough that they are still in the processor's caches when they are used again. */
export const YOUNG_BYTES_MAX = 8 * 1024 * 1024
let waiting = 0

/** So many bytes came in buffers that nobody holds any more. */
export function outlived(bytes: number): void {
  waiting += bytes
  if (waiting < YOUNG_BYTES_MAX) return
  waiting = 0
  collect?.({ type: 'minor' })
}
