/**
 * Hosts that name an account, or a container of it: CONTAINER.ACCOUNT.storage.example/OBJECT is /v1/ACCOUNT/CONTAINER/OBJECT. Names of hosts have no '_': AUTH-x stands for AUTH_x, in any case
 * of letters. Options as Swift's domain_remap has them.
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { swiftFault } from '../errors.ts'
import { PREFIX } from '../names.ts'
import { swiftOptions } from '../options.ts'

const ROOT = 'v1'
const RESELLER = 'AUTH'

/** The account that a label of a host stands for; null where it is none of ours. */
function accountOf(label: string, fallback: string | undefined): string | null {
  const name = !label.includes('_') && label.includes('-') ? label.replace('-', '_') : label
  if (name.split('_', 1)[0]?.toUpperCase() === RESELLER && name.length > RESELLER.length) return `${RESELLER}${name.slice(RESELLER.length)}`
  return fallback === undefined || fallback === '' ? null : `${fallback}_${label}`
}

/** The path that host and path stand for together; null where the host is none of the storage domains. 400 where it has too many labels. */
export function remapped(env: Pick<Env, 'OPTIONS'>, host: string, path: string): string | null {
  const options = swiftOptions(env).domain_remap
  if (options === undefined) return null
  const name = host.replace(/:\d+$/, '')
  const domain = [options.storage_domain].flat().map((one) => `.${one.replace(/^\./, '').toLowerCase()}`).find((one) => name.toLowerCase().endsWith(one))
  if (domain === undefined) return null
  const labels = name.slice(0, -domain.length).split('.')
  if (labels.length > 2) throw swiftFault(400, 'Bad domain in host header')
  const account = accountOf(labels.at(-1) ?? '', options.default_reseller_prefix)
  if (account === null) return null
  const [container] = labels.length === 2 ? labels : []
  const below = path.replace(/^\/+/, '')
  const object = options.mangle_client_paths === true ? below.replace(new RegExp(`^${ROOT}(/+|$)`), '') : below
  return [PREFIX, ROOT, account, ...(container === undefined ? [] : [container]), ...(object === '' ? [] : [object])].join('/')
}
