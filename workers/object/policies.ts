/** Storage policies: by OPTIONS several, each with its own ring of that index; without, one. A container keeps the policy it was made with. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import { checkScheme, type ErasureScheme, SEGMENT_BYTES_DEFAULT } from '../../schema/values/erasure.ts'
import { Fault } from '../../schema/values/fault.ts'
import { swiftFault } from './errors.ts'
import { type PolicyOption, swiftOptions } from './options.ts'

const ONLY: readonly PolicyOption[] = [{ index: 0, name: 'Policy-0', default: true }]
type Settings = Pick<Env, 'OPTIONS'>

export function policiesOf(env: Settings): readonly PolicyOption[] {
  const given = swiftOptions(env).storage_policies
  return given === undefined || given.length === 0 ? ONLY : given
}

export const policyAt = (env: Settings, index: number): PolicyOption | undefined => policiesOf(env).find((policy) => policy.index === index)
export const policyName = (env: Settings, index: number): string => policyAt(env, index)?.name ?? String(index)

/** How a policy's objects are cut; null where whole copies are kept. */
export function schemeOf(env: Settings, index: number): ErasureScheme | null {
  const policy = policyAt(env, index)
  if (policy?.policy_type === undefined || policy.policy_type === 'replication') return null
  if (policy.policy_type !== 'erasure_coding') throw new Fault('internal', `storage policy ${policy.name}: there is no policy_type ${policy.policy_type}`)
  const scheme = { data: policy.ec_num_data_fragments ?? 0, parity: policy.ec_num_parity_fragments ?? 0, segment_bytes: policy.ec_object_segment_size ?? SEGMENT_BYTES_DEFAULT }
  checkScheme(scheme)
  return scheme
}

/** Devices that each partition of a policy wants; undefined where its options don't say. */
export function replicasOf(env: Settings, index: number): number | undefined {
  const scheme = schemeOf(env, index)
  return scheme === null ? policyAt(env, index)?.replicas : scheme.data + scheme.parity
}

/** For containers that ask for none. */
export const defaultPolicy = (env: Settings): number => (policiesOf(env).find((policy) => policy.default === true) ?? policiesOf(env)[0])?.index ?? 0

/** By name or alias, whatever its case; null where none is asked for. */
export function policyIndex(env: Settings, name: string | null): number | null {
  if (name === null || name === '') return null
  const wanted = name.toLowerCase()
  const found = policiesOf(env).find((policy) => [policy.name, ...(policy.aliases ?? [])].some((one) => one.toLowerCase() === wanted))
  if (found === undefined) throw swiftFault(400, `Invalid X-Storage-Policy '${name}'`)
  if (found.deprecated === true) throw swiftFault(400, `Storage Policy '${name}' is deprecated`)
  return found.index
}
