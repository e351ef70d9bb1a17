/** Storage policies: by OPTIONS several, each with its own ring of that index; without, one. A container keeps the policy it was made with. */
import type { Env } from '../../durable-objects/kernel/env.ts'
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
