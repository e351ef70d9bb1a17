/**
 * Memory that begins where a page of the machine does: a file system can hand it to the disk as it is (O_DIRECT), where anything else is copied into its cache first. Node
 * aligns its buffers to 16 bytes; WebAssembly's memory is made of whole pages.
 */
export const PAGE_BYTES = 4096
const WASM_PAGE_BYTES = 64 * 1024

const made = new WeakSet<ArrayBufferLike>()

/** Null where the platform gives none. */
export function wholePages(bytes: number): Uint8Array | null {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES)
  try {
    // It never grows: growing would take the buffer away from those who have it.
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages })
    made.add(buffer)
    return new Uint8Array(buffer, 0, bytes)
  } catch {
    return null
  }
}

export const isOfPages = (bytes: Uint8Array): boolean => made.has(bytes.buffer)

/** Whole pages, and nothing but them. */
export const isWholePages = (bytes: Uint8Array): boolean => bytes.byteOffset % PAGE_BYTES === 0 && bytes.byteLength % PAGE_BYTES === 0 && isOfPages(bytes)
