/** A small and valid qcow2 file with no data in it: what a simulated host uploads as a snapshot, so that the plane's format inspection sees a real one. */
const CLUSTER_BITS = 9
const CLUSTER = 1 << CLUSTER_BITS

/** `label` goes behind the tables, in a cluster of its own that nothing refers to as guest data: two snapshots differ in their bytes. */
export function emptyQcow2(virtual_size_bytes: number, label = ''): Uint8Array {
  // Clusters: header, refcount table, refcount block, L1 table, label. With clusters of 512 bytes one L2 table maps 32 KiB, so the L1 is kept to one
  // cluster by larger clusters where the disk is larger.
  let bits = CLUSTER_BITS
  while (virtual_size_bytes > (2 ** (bits - 3)) * 2 ** bits * (2 ** bits / 8) && bits < 21) bits++
  const cluster = Math.max(CLUSTER, 2 ** bits)
  const file = new Uint8Array(cluster * 5)
  const view = new DataView(file.buffer)
  const l1Size = Math.max(1, Math.ceil(virtual_size_bytes / (cluster * (cluster / 8))))
  view.setUint32(0, 0x514649fb)
  view.setUint32(4, 3)
  view.setUint32(20, bits)
  view.setBigUint64(24, BigInt(virtual_size_bytes))
  view.setUint32(36, l1Size)
  view.setBigUint64(40, BigInt(cluster * 3))
  view.setBigUint64(48, BigInt(cluster))
  view.setUint32(56, 1)
  view.setUint32(96, 4)
  view.setUint32(100, 104)
  view.setBigUint64(cluster, BigInt(cluster * 2))
  for (let index = 0; index < 4; index++) view.setUint16(cluster * 2 + index * 2, 1)
  file.set(new TextEncoder().encode(label).subarray(0, cluster), cluster * 4)
  return file
}
