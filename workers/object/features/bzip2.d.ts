/** The parts of unbzip2-stream that need no Node streams. */
type Bits = ((count: number | null) => number) & { bytesRead: number }

declare module 'unbzip2-stream/lib/bzip2.js' {
  const bzip2: {
    /** The block size in units of 100,000 bytes. */
    header(bits: Bits): number
    /** One block, byte by byte; the running checksum, or null at the stream's end. */
    decompress(bits: Bits, byte: (value: number) => void, buffer: Int32Array, size: number, crc: number): number | null
  }
  export default bzip2
}

declare module 'unbzip2-stream/lib/bit_iterator.js' {
  export default function bitIterator(next: () => Uint8Array | undefined): Bits
}
