/** Chunks of any size as frames of one; pure. */
export function cutFrame(parts: Uint8Array[], size: number): { frame: Uint8Array; rest: Uint8Array[] } {
  const frame = new Uint8Array(size)
  let at = 0
  const rest = [...parts]
  while (at < size) {
    const part = rest.shift()
    if (part === undefined) break
    const take = Math.min(part.byteLength, size - at)
    frame.set(part.subarray(0, take), at)
    at += take
    if (take < part.byteLength) rest.unshift(part.subarray(take))
  }
  return { frame, rest }
}
