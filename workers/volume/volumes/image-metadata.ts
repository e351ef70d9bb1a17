/** volume_image_metadata: what a volume made from an image remembers of it, so that a server booted from the volume is shaped as one booted from the image. Pure. */
export interface ImageFacts {
  id: string
  image_name: string | null
  properties: Record<string, string>
  disk_format?: string | null
  container_format?: string | null
  size_bytes?: number | null
  checksum?: string | null
  min_disk_gib?: number
  min_ram_mib?: number
}

export function imageMetadata(image: ImageFacts): Record<string, string> {
  const known: Record<string, string | number | null | undefined> = {
    image_id: image.id, image_name: image.image_name, disk_format: image.disk_format, container_format: image.container_format, size: image.size_bytes, checksum: image.checksum, min_disk: image.min_disk_gib ?? 0, min_ram: image.min_ram_mib ?? 0,
  }
  return Object.fromEntries([...Object.entries(image.properties), ...Object.entries(known).filter(([, value]) => value !== null && value !== undefined && value !== '').map(([key, value]) => [key, String(value)])])
}
