/** Volumes of one host. Each call is idempotent: the reconciler repeats it until the host agrees. */
import type { ExportSpec, SnapshotSpec, VolumeSpec } from '../../../schema/agent/desired.ts'

export interface VolumeState {
  id: string
  size_bytes: number
}

export interface VolumeDriver {
  readonly name: string
  list(): Promise<{ volumes: VolumeState[]; snapshots: VolumeState[]; exports: string[] }>
  /** Makes or grows (never shrinks) the volume. `imagePath`: verified local file of the source image, with its format. A source is used only at birth. */
  ensureVolume(id: string, spec: VolumeSpec, image: { path: string; format: string } | null): Promise<VolumeState>
  /** A volume already gone is a success. Its blocks are never readable again. */
  removeVolume(id: string): Promise<void>
  /** Crash-consistent point in time. */
  ensureSnapshot(id: string, spec: SnapshotSpec): Promise<VolumeState>
  removeSnapshot(id: string): Promise<void>
  /** Offers the volume over iSCSI with CHAP; again with another secret replaces it. */
  ensureExport(id: string, spec: ExportSpec): Promise<void>
  removeExport(id: string): Promise<void>
  /** Path of the volume (or snapshot) on this host, for a local attachment, an upload or a restore. Not found: Fault not_found. */
  path(id: string): Promise<{ path: string; format: 'raw'; size_bytes: number }>
  pools(): Promise<{ name: string; total_gib: number; free_gib: number }[]>
}
