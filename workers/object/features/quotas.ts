/** Container and account quotas, checked before the bytes are taken (swift/common/middleware/{container,account}_quotas.py). */
import { swiftFault } from '../errors.ts'
import type { Begun } from '../object/write.ts'
import type { SwiftRequest } from '../request.ts'

const OVER = 'Upload exceeds quota.'
const limit = (text: string | undefined): number | null => (text === undefined || !/^\d+$/.test(text) ? null : Number(text))

export async function checkQuotas(request: Pick<SwiftRequest, 'allows' | 'account'>, begun: Begun, size: number | null): Promise<void> {
  const { info, existing } = begun
  const bytes = limit(info.metadata['x-container-meta-quota-bytes'])
  if (bytes !== null && info.bytes_used + (size ?? 0) > bytes) throw swiftFault(413, OVER)
  const count = limit(info.metadata['x-container-meta-quota-count'])
  if (count !== null && existing === null && info.object_count + 1 > count) throw swiftFault(413, OVER)
  if (request.allows('swift:account_quota', begun.name.account)) return
  const account = await request.account(begun.name.account)
  const quota = limit(account?.metadata['x-account-meta-quota-bytes'])
  if (quota !== null && (account?.bytes_used ?? 0) + (size ?? 0) > quota) throw swiftFault(413, OVER)
}
