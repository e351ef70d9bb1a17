/** What a host answers when another asks about replicas: the same however the question came (LAN, host link, itself). */
import { createHash } from 'node:crypto'
import type { ReplicaAnswers, ReplicaQueries, ReplicaQuery } from '../../schema/agent/replication.ts'
import { Fault } from '../../schema/values/fault.ts'
import type { ObjectReplicas } from '../drivers/object/replicas.ts'

export const PARTITIONS_PER_QUERY_MAX = 256

/** One word for all that a partition holds. */
export const digestOf = (suffixes: Record<string, string>): string => createHash('md5').update(JSON.stringify(Object.entries(suffixes).sort(([a], [b]) => (a < b ? -1 : 1)))).digest('hex')

export async function answerQuery(replicas: ObjectReplicas, query: ReplicaQuery): Promise<unknown> {
  switch (query.what) {
    case 'digests': {
      if (query.partitions.length > PARTITIONS_PER_QUERY_MAX) throw new Fault('bad_request', `at most ${PARTITIONS_PER_QUERY_MAX} partitions at once`)
      const digests: string[] = []
      for (const partition of query.partitions) digests.push(digestOf(await replicas.suffixes({ device: query.device, policy: query.policy, partition })))
      return digests
    }
    case 'numbers': {
      if (query.partitions.length > PARTITIONS_PER_QUERY_MAX) throw new Fault('bad_request', `at most ${PARTITIONS_PER_QUERY_MAX} partitions at once`)
      const numbers: number[][] = []
      for (const partition of query.partitions) numbers.push((await replicas.fragments({ device: query.device, policy: query.policy, partition })).numbers)
      return numbers
    }
    case 'suffixes': return await replicas.suffixes(query)
    case 'versions': return await replicas.versions(query)
    case 'device': return await replicas.state(query.device)
    case 'commit': return { committed: await replicas.commit(query) }
    default: throw new Fault('not_implemented', `no such query: ${JSON.stringify(query satisfies never)}`)
  }
}

export type Ask = <Q extends keyof ReplicaQueries>(what: Q, args: ReplicaQueries[Q]) => Promise<ReplicaAnswers[Q]>
