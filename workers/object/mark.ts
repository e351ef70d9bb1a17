/** The plane's mark on words that it leaves with hosts: what comes back with it is what was said. Pure. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { ListingUpdate } from '../../schema/agent/replication.ts'

/** What of an update is marked. */
export const markedText = ({ account, container, object, op, timestamp, row }: ListingUpdate): string => JSON.stringify([account, container, object, op, timestamp, row ?? null])

export const markOf = (key: string, text: string): string => createHmac('sha256', key).update(text).digest('hex')

export function isMarkOf(key: string, text: string, mark: string): boolean {
  const [given, wanted] = [Buffer.from(mark), Buffer.from(markOf(key, text))]
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}
