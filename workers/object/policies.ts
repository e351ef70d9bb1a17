/** Storage policies: so far one, replicated; its index names the ring. */
import { swiftFault } from './errors.ts'

export interface StoragePolicy {
  index: number
  name: string
  default: boolean
}

export const POLICIES: readonly StoragePolicy[] = [{ index: 0, name: 'Policy-0', default: true }]

export const policyName = (index: number): string => POLICIES[index]?.name ?? String(index)

export function policyIndex(name: string | null): number | null {
  if (name === null || name === '') return null
  const found = POLICIES.find((policy) => policy.name.toLowerCase() === name.toLowerCase())
  if (found === undefined) throw swiftFault(400, `Invalid X-Storage-Policy '${name}'`)
  return found.index
}
