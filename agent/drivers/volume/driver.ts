/**
 * Volumes of one host. Each call is idempotent: the reconciler repeats it until the host agrees. Nothing here says how blocks
 * are kept: `path` may be a file or a device node, so that LVM fits behind the same ten methods.
 */
import type { ExportSpec, SnapshotSpec, VolumeSpec } from '../../../schema/agent/desired.ts'

export interface VolumeState {
  id: string
  size_bytes: number
}

export interface VolumeCapabilities {
  /** Copies share blocks: a snapshot is made at once and is a point in time even while a guest writes. Where false, pause the guest around ensureSnapshot. */
  instant_copies: boolean
  /** An exported volume with a connected initiator sees its new size. Where false it does at its next connection. */
  online_extend_over_iscsi: boolean
}

export interface VolumeDriver {
  readonly name: string
  capabilities(): Promise<VolumeCapabilities>
  /** `exports` has those that an initiator could log in to now. */
  list(): Promise<{ volumes: VolumeState[]; snapshots: VolumeState[]; exports: string[] }>
  /** Makes or grows (never shrinks) the volume. `imagePath`: verified local file of the source image, with its format. A source is used only at birth. */
  ensureVolume(id: string, spec: VolumeSpec, image: { path: string; format: string } | null): Promise<VolumeState>
  /** A volume already gone is a success; one still exported is Fault conflict. Its blocks are never readable again. */
  removeVolume(id: string): Promise<void>
  /** Crash-consistent point in time. */
  ensureSnapshot(id: string, spec: SnapshotSpec): Promise<VolumeState>
  removeSnapshot(id: string): Promise<void>
  /** Offers the volume over iSCSI with CHAP; again with another secret replaces it. */
  ensureExport(id: string, spec: ExportSpec): Promise<void>
  /** Cuts connected initiators off. */
  removeExport(id: string): Promise<void>
  /** Path of the volume (or snapshot) on this host, for a local attachment, an upload or a restore. Not found: Fault not_found. */
  path(id: string): Promise<{ path: string; format: 'raw'; size_bytes: number }>
  pools(): Promise<{ name: string; total_gib: number; free_gib: number }[]>
}
