/** Options of a domain (identity.driver = ldap, ldap.*) -> what is asked of its directory. Pure. Names and defaults are Keystone's; see docs/ldap.md for those that have no effect here. */
import type { DirectoryServer } from '../../../schema/agent/directory.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { DOMAIN_OPTIONS } from '../domain-config/options.ts'
import { isFilter } from './filter.ts'

export type Options = Record<string, unknown>

export interface DirectorySettings {
  server: DirectoryServer
  page_size: number
  scope: 'one' | 'sub'
  list_max: number
  users: {
    base: string
    filter: string | null
    object_class: string
    id: string
    name: string
    mail: string | null
    description: string | null
    enabled: string | null
    enabled_mask: number
    enabled_invert: boolean
    enabled_default: string
    /** The group whose members are enabled, where that is how it is said. */
    enabled_group: string | null
    default_project: string | null
    /** [attribute of the directory, attribute here] */
    more: [string, string][]
  }
  groups: { base: string; filter: string | null; object_class: string; id: string; name: string; description: string | null; member: string; members_are_ids: boolean; nested: boolean }
}

const LIST_MAX = 1_000
const ATTRIBUTE = /^[A-Za-z][A-Za-z0-9-]*(;[A-Za-z0-9-]+)*$|^\d+(\.\d+)+$/
/** Names that Keystone's users have of themselves. */
const OWN = new Set(['id', 'name', 'domain_id', 'enabled', 'password', 'options', 'links', 'federated', 'default_project_id'])

class Reader {
  #options: Options
  constructor(given: Options) {
    this.#options = { ...DOMAIN_OPTIONS.ldap, ...given }
  }

  bad(name: string, why: string): Fault {
    return new Fault('unavailable', `The directory of this domain is not set up right: ldap.${name} ${why}.`)
  }

  text(name: string): string | null {
    const value = this.#options[name]
    if (value === null || value === undefined || value === '') return null
    if (typeof value !== 'string') throw this.bad(name, 'must be a text')
    return value
  }

  must(name: string): string {
    const value = this.text(name)
    if (value === null) throw this.bad(name, 'is missing')
    return value
  }

  /** true and false, as such or as text; nothing else counts as either. */
  bool(name: string): boolean {
    const value = typed(this.#options[name] ?? false)
    if (value === null) throw this.bad(name, 'must be true or false')
    return value
  }

  count(name: string): number {
    const value = Number(this.#options[name] ?? 0)
    if (!Number.isSafeInteger(value) || value < 0) throw this.bad(name, 'must be a whole number')
    return value
  }

  list(name: string): string[] {
    const value = this.#options[name] ?? []
    const items = typeof value === 'string' ? value.split(',').map((item) => item.trim()).filter((item) => item !== '') : value
    if (!Array.isArray(items) || items.some((item) => typeof item !== 'string')) throw this.bad(name, 'must be a list')
    return items as string[]
  }

  /** An attribute's name becomes a part of filters: nothing but a name may. */
  attribute(name: string): string | null {
    const value = this.text(name)
    if (value !== null && !ATTRIBUTE.test(value)) throw this.bad(name, 'is no name of an attribute')
    return value
  }

  mustAttribute(name: string): string {
    const value = this.attribute(name)
    if (value === null) throw this.bad(name, 'is missing')
    return value
  }

  filter(name: string): string | null {
    const value = this.text(name)
    if (value !== null && !isFilter(value)) throw this.bad(name, 'is no filter')
    return value
  }
}

/** S26: 'FALSE' is not true because it is a text. null: neither. */
export function typed(value: unknown): boolean | null {
  if (typeof value === 'boolean') return value
  if (typeof value !== 'string') return null
  const text = value.trim().toLowerCase()
  return text === 'true' ? true : text === 'false' ? false : null
}

function serverOf(read: Reader): DirectoryServer {
  const urls = read.must('url').split(/[\s,]+/).filter((url) => url !== '')
  if (urls.length === 0 || urls.some((url) => !/^ldaps?:\/\/[^/?#\s]+\/?$/i.test(url))) throw read.bad('url', 'must be ldap://HOST or ldaps://HOST')
  const start_tls = read.bool('use_tls')
  const certificates = read.text('tls_req_cert') ?? 'demand'
  if (!['demand', 'allow', 'never'].includes(certificates)) throw read.bad('tls_req_cert', 'must be demand, allow or never')
  return { urls, start_tls, verify: certificates === 'demand', ca_file: read.text('tls_cacertfile'), user: read.text('user'), password: read.text('password') }
}

function usersOf(read: Reader, suffix: string): DirectorySettings['users'] {
  const ignored = new Set(read.list('user_attribute_ignore'))
  const unless = (attribute: string, name: string) => (ignored.has(attribute) ? null : read.attribute(name))
  const base = read.text('user_tree_dn') ?? `ou=Users,${suffix}`
  const more = read.list('user_additional_attribute_mapping').map((pair): [string, string] => {
    const [remote = '', local = ''] = pair.split(':').map((part) => part.trim())
    if (!ATTRIBUTE.test(remote) || local === '' || OWN.has(local)) throw read.bad('user_additional_attribute_mapping', `has a strange pair '${pair}'`)
    return [remote, local]
  })
  return {
    base, filter: read.filter('user_filter'), object_class: read.mustAttribute('user_objectclass'), id: read.mustAttribute('user_id_attribute'), name: read.mustAttribute('user_name_attribute'),
    mail: unless('email', 'user_mail_attribute'), description: unless('description', 'user_description_attribute'), enabled: unless('enabled', 'user_enabled_attribute'),
    enabled_mask: read.count('user_enabled_mask'), enabled_invert: read.bool('user_enabled_invert'), enabled_default: String(read.text('user_enabled_default') ?? 'True'),
    enabled_group: read.bool('user_enabled_emulation') ? (read.text('user_enabled_emulation_dn') ?? `cn=enabled_users,${base}`) : null, default_project: unless('default_project_id', 'user_default_project_id_attribute'), more,
  }
}

export function settingsOf(options: Options, listLimit: unknown = null): DirectorySettings {
  const read = new Reader(options)
  const suffix = read.must('suffix')
  const scope = read.text('query_scope') ?? 'one'
  if (scope !== 'one' && scope !== 'sub') throw read.bad('query_scope', 'must be one or sub')
  return {
    server: serverOf(read), page_size: read.count('page_size'), scope, list_max: typeof listLimit === 'number' && listLimit > 0 ? Math.min(listLimit, LIST_MAX) : LIST_MAX, users: usersOf(read, suffix),
    groups: {
      base: read.text('group_tree_dn') ?? `ou=UserGroups,${suffix}`, filter: read.filter('group_filter'), object_class: read.mustAttribute('group_objectclass'), id: read.mustAttribute('group_id_attribute'), name: read.mustAttribute('group_name_attribute'),
      description: read.list('group_attribute_ignore').includes('description') ? null : read.attribute('group_desc_attribute'), member: read.mustAttribute('group_member_attribute'), members_are_ids: read.bool('group_members_are_ids'), nested: read.bool('group_ad_nesting'),
    },
  }
}
