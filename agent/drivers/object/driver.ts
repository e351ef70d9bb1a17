/** Object replicas on the disks of one host, laid out as Swift does: device/objects[-policy]/partition/suffix/hash/timestamp.data */
import type { Intake } from './intake.ts'
import type { FragmentsFound, ObjectArgs, ObjectHead } from '../../../schema/agent/protocol.ts'
import type { ObjectReplicas } from './replicas.ts'

export interface ObjectDriver {
  readonly name: string
  /** For the consistency services (agent/object-services). */
  readonly replicas: ObjectReplicas
  /** Those that work. */
  devices(): Promise<{ name: string; total_bytes: number; free_bytes: number }[]>
  /** `intake`: what the body is learned by, where several replicas take the same one. Writes a replica: temporary file, fsync, metadata in xattrs, rename, directory fsync. An older timestamp than what is there: Fault conflict. */
  put(args: ObjectArgs, body: AsyncIterable<Uint8Array>, intake?: Intake): Promise<ObjectHead>
  /** Not found, or a tombstone: Fault not_found, with the tombstone's timestamp in details. */
  head(args: ObjectArgs): Promise<ObjectHead>
  /** Body of args.range, or all. Every block is checked before it is given; a damaged replica is put aside, and is a Fault. The reader must end or destroy the body. */
  get(args: ObjectArgs): Promise<{ head: ObjectHead; body: AsyncIterable<Uint8Array> }>
  /** Replaces user metadata, keeping the data file. */
  post(args: ObjectArgs): Promise<ObjectHead>
  /** Every fragment that there is of an object, whether its write was acknowledged or not. */
  fragments(args: ObjectArgs): Promise<FragmentsFound>
  /** The write of this time was acknowledged: its fragments here count from now on, and what they replace goes. None here: Fault not_found. */
  commit(args: ObjectArgs): Promise<{ timestamp: string }>
  /** A reader with the keys found the version of this time wrong here, and right elsewhere: what does not open is put aside. */
  doubt(args: ObjectArgs): Promise<{ put_aside: boolean }>
  /** Writes a tombstone. An older timestamp than what is there: Fault conflict. */
  delete(args: ObjectArgs): Promise<{ timestamp: string; existed: boolean }>
}
