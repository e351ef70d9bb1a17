/**
 * The rules engine of mappings: what an identity provider says of somebody (an assertion: names with values) -> who that is here. Pure. Semantics as upstream's
 * (keystone/federation/utils.py, RuleProcessor), with two deliberate differences: a value is never split at ';' (claims are typed, and a user may choose its
 * display name), and a list where one value is needed is refused instead of becoming the text of a list.
 */
import { Fault } from '../../../../schema/values/fault.ts'

export interface DomainRef {
  id?: string
  name?: string
}

export interface RemoteRule {
  type: string
  any_one_of?: string[]
  not_any_of?: string[]
  blacklist?: string[]
  whitelist?: string[]
  regex?: boolean
}

export interface RoleRef {
  name: string
  domain?: DomainRef
}

export interface ProjectRef {
  name: string
  domain?: DomainRef
  roles: RoleRef[]
}

export interface LocalRule {
  user?: { id?: string; name?: string; email?: string; domain?: DomainRef; type?: 'ephemeral' | 'local' }
  group?: { id?: string; name?: string; domain?: DomainRef }
  groups?: string
  group_ids?: string
  domain?: DomainRef
  projects?: ProjectRef[]
}

export interface Rule {
  local: LocalRule[]
  remote: RemoteRule[]
}

export type Assertion = ReadonlyMap<string, readonly string[]>

export interface Mapped {
  user: { id?: string; name?: string; email?: string; domain?: DomainRef; type: 'ephemeral' | 'local' }
  group_ids: string[]
  groups: { name: string; domain: DomainRef }[]
  projects: ProjectRef[]
}

/** Values longer than this match no pattern: a pattern must have a bounded cost. */
export const VALUE_CHARS_MAX = 4_096

type Direct = (readonly string[])[]
const PIECE = /\{\{|\}\}|\{(\d{1,3})\}|[{}]/g
const refused = (message: string) => new Fault('unauthorized', message)

/** Python's way of writing a pattern, as far as mappings use it: (?i) in front and (?P<name>...). */
export function patternOf(text: string): RegExp {
  const folded = text.startsWith('(?i)')
  return new RegExp((folded ? text.slice(4) : text).replaceAll('(?P<', '(?<'), folded ? 'i' : '')
}

function matching(wanted: readonly string[], values: readonly string[], regex: boolean): Set<string> {
  if (!regex) return new Set(values.filter((value) => wanted.includes(value)))
  const patterns = wanted.map(patternOf)
  return new Set(values.filter((value) => value.length <= VALUE_CHARS_MAX && patterns.some((pattern) => pattern.test(value))))
}

/** True where a remote entry only decides, and gives no value to the local part. */
const decides = (remote: RemoteRule) => remote.any_one_of !== undefined || remote.not_any_of !== undefined

/** Values for {0}, {1}...; null where the rule does not apply. */
function directOf(remotes: readonly RemoteRule[], assertion: Assertion): Direct | null {
  const direct: Direct = []
  for (const remote of remotes) {
    const values = assertion.get(remote.type)
    if (values === undefined || values.length === 0) return null
    const found = (wanted: readonly string[]) => matching(wanted, values, remote.regex === true)
    if (remote.any_one_of !== undefined) {
      if (found(remote.any_one_of).size === 0) return null
    } else if (remote.not_any_of !== undefined) {
      // A value too long to be matched counts as one that must not be.
      if (found(remote.not_any_of).size > 0 || (remote.regex === true && values.some((value) => value.length > VALUE_CHARS_MAX))) return null
    } else if (remote.blacklist !== undefined) {
      const out = found(remote.blacklist)
      direct.push(values.filter((value) => !out.has(value) && !(remote.regex === true && value.length > VALUE_CHARS_MAX)))
    } else if (remote.whitelist !== undefined) {
      const kept = found(remote.whitelist)
      direct.push(values.filter((value) => kept.has(value)))
    } else direct.push(values)
  }
  return direct
}

const referred = (template: string): number[] => [...template.matchAll(PIECE)].flatMap((match) => (match[1] === undefined ? [] : [Number(match[1])]))

function fill(template: string, give: (at: number) => string): string {
  return template.replace(PIECE, (piece, at: string | undefined) => (at !== undefined ? give(Number(at)) : piece === '{{' ? '{' : piece === '}}' ? '}' : piece))
}

/** One text from a template. Without direct values a template is plain text, as upstream has it. */
function one(template: string, direct: Direct): string {
  if (direct.length === 0) return template
  return fill(template, (at) => {
    const values = direct[at] ?? []
    if (values.length !== 1) throw refused(`The mapping needs one value for {${at}} in '${template}', and the identity provider gave ${values.length}.`)
    return values[0] ?? ''
  })
}

/** As many texts as the list that it refers to has values. */
function many(template: string, direct: Direct): string[] {
  if (direct.length === 0) return [template]
  const lists = [...new Set(referred(template))].filter((at) => direct[at]?.length !== 1)
  const [list] = lists
  if (list === undefined) return [one(template, direct)]
  if (lists.length > 1) throw refused(`The mapping refers to more than one list in '${template}'.`)
  return (direct[list] ?? []).map((value) => one(template, direct.map((values, at) => (at === list ? [value] : values))))
}

const domainOf = (domain: DomainRef, direct: Direct): DomainRef => ({ ...(domain.id === undefined ? {} : { id: one(domain.id, direct) }), ...(domain.name === undefined ? {} : { name: one(domain.name, direct) }) })

function userOf(user: NonNullable<LocalRule['user']>, direct: Direct): Mapped['user'] {
  const texts = Object.fromEntries((['id', 'name', 'email'] as const).flatMap((key) => (user[key] === undefined ? [] : [[key, one(user[key], direct)]])))
  return { ...texts, ...(user.domain === undefined ? {} : { domain: domainOf(user.domain, direct) }), type: user.type ?? 'ephemeral' }
}

/** Who the assertion's subject is here. Throws unauthorized where no rule applies. The first user named counts; groups add up. */
export function mapAssertion(rules: readonly Rule[], assertion: Assertion): Mapped {
  let user: Mapped['user'] | null = null
  let applied = false
  const groupIds = new Set<string>()
  const groups = new Map<string, Mapped['groups'][number]>()
  const projects: ProjectRef[] = []
  const join = (name: string, domain: DomainRef) => groups.set(JSON.stringify([name, domain.id, domain.name]), { name, domain })
  for (const rule of rules) {
    const direct = directOf(rule.remote, assertion)
    if (direct === null) continue
    for (const local of rule.local) {
      applied = true
      if (local.user !== undefined) user ??= userOf(local.user, direct)
      if (local.group?.id !== undefined) for (const id of many(local.group.id, direct)) groupIds.add(id)
      else if (local.group?.name !== undefined) for (const name of many(local.group.name, direct)) join(name, domainOf(local.group.domain ?? {}, direct))
      if (local.groups !== undefined) for (const name of many(local.groups, direct)) join(name, domainOf(local.domain ?? {}, direct))
      if (local.group_ids !== undefined) for (const id of many(local.group_ids, direct)) groupIds.add(id)
      for (const project of local.projects ?? []) {
        projects.push({
          name: one(project.name, direct), ...(project.domain === undefined ? {} : { domain: domainOf(project.domain, direct) }),
          roles: project.roles.map((role) => ({ name: one(role.name, direct), ...(role.domain === undefined ? {} : { domain: domainOf(role.domain, direct) }) })),
        })
      }
    }
  }
  if (!applied || user === null) throw refused('Could not map any federated user properties to identity values.')
  return { user, group_ids: [...groupIds], groups: [...groups.values()], projects }
}

/** What is wrong with a rule beyond its shape: patterns that do not compile, references to values that no remote entry gives. null is nothing. */
export function ruleProblem(rule: Rule): string | null {
  for (const remote of rule.remote) {
    for (const text of remote.regex === true ? (remote.any_one_of ?? remote.not_any_of ?? remote.blacklist ?? remote.whitelist ?? []) : []) {
      try {
        patternOf(text)
      } catch {
        return `'${text}' is not a regular expression that can be used here`
      }
    }
  }
  const given = rule.remote.filter((remote) => !decides(remote)).length
  for (const text of textsOf(rule.local)) {
    if (given > 0 && [...text.matchAll(PIECE)].some(([piece]) => piece === '{' || piece === '}')) return `'${text}' has a brace that is neither {n} nor doubled`
    const beyond = referred(text).find((at) => at >= given)
    if (beyond !== undefined) return `'${text}' refers to {${beyond}}, and the remote part gives ${given} value(s)`
  }
  return null
}

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : []
}
