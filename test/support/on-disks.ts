/** Everything that hosts' disks hold of objects, as one text to look in: stored records, bytes, words for containers. */
import type { ObjectDriver } from '../../agent/drivers/object/driver.ts'

export async function onDisks(hosts: Iterable<{ driver: ObjectDriver }>): Promise<string> {
  const found: string[] = []
  for (const { driver: { replicas } } of hosts) {
    for (const at of await replicas.partitions('d1')) {
      const place = { device: 'd1', ...at }
      for (const set of await replicas.versions({ ...place, suffixes: Object.keys(await replicas.suffixes(place)) })) {
        for (const [kind, timestamp] of [['data', set.data], ['meta', set.meta]] as const) {
          if (timestamp === null) continue
          const numbers = kind === 'data' && set.fragments !== undefined ? set.fragments.filter((one) => one.timestamp === timestamp).map(({ index }) => ({ fragment: index })) : [{}]
          for (const fragment of numbers) {
            const { stored, body } = await replicas.read({ ...place, hash: set.hash, kind, timestamp, ...fragment })
            found.push(JSON.stringify(stored))
            for await (const chunk of body) found.push(Buffer.from(chunk).toString('latin1'))
          }
        }
      }
    }
    for (const { update } of await replicas.pending('d1')) found.push(JSON.stringify(update))
  }
  return found.join('\n')
}
