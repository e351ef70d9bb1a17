/** The replicas of one object, for those who store and fetch: writing is in replicas-write.ts, reading in replicas-read.ts, single calls in replica-calls.ts. */
export { quorumOf, streamOf } from './replica-calls.ts'
export { type Copies, copiesOf, type Found, getReplicas, headReplicas, openRange } from './replicas-read.ts'
export { deferUpdate, deleteReplicas, type PutOptions, postReplicas, putReplicas } from './replicas-write.ts'
