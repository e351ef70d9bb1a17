/** A directory in memory: entries with passwords, filters as the real one reads them. For tests and simulated hosts. */
import { AndFilter, EqualityFilter, type Filter, FilterParser, NotFilter, OrFilter, PresenceFilter, SubstringFilter } from 'ldapts'
import type { DirectoryEntry, DirectoryServer } from '../../../schema/agent/directory.ts'
import { Fault } from '../../../schema/values/fault.ts'
import type { DirectoryDriver } from './driver.ts'

export interface FakeEntry extends DirectoryEntry {
  password?: string
}

export interface FakeDirectory {
  /** The server as it is known by its URL. */
  url: string
  entries: FakeEntry[]
  /** Does not answer. */
  down: boolean
  /** Filters that were asked. */
  asked: string[]
  /** More than this many are given only in pages. 0 is no bound. */
  size_limit: number
  /** Values of one attribute given at once; the rest must be asked for by range, as Active Directory has it. 0 is no bound. */
  values_limit: number
}

export const createFakeDirectory = (url = 'ldap://directory.test'): FakeDirectory => ({ url, entries: [], down: false, asked: [], size_limit: 0, values_limit: 0 })

const folded = (text: string) => text.toLowerCase()
/** What is wanted of an attribute, whole or in parts. */
function valuesFor(wanted: string[], name: string, values: string[], limit: number): [string, string[]][] {
  if (wanted.includes(name) && (limit === 0 || values.length <= limit)) return [[name, values]]
  const asked = wanted.map((each) => /^([^;]+);range=(\d+)-\*$/.exec(each)).find((match) => match?.[1] === name)
  if (!wanted.includes(name) && asked == null) return []
  const from = Number(asked?.[2] ?? 0)
  const part = limit === 0 ? values.slice(from) : values.slice(from, from + limit)
  return [[`${name};range=${from}-${from + part.length >= values.length ? '*' : from + part.length - 1}`, part]]
}

const sameDn = (a: string, b: string) => folded(a).replace(/,\s+/g, ',') === folded(b).replace(/,\s+/g, ',')

function holds(filter: Filter, entry: DirectoryEntry): boolean {
  const values = (attribute: string) => (entry.attributes[folded(attribute)] ?? []).map(folded)
  if (filter instanceof AndFilter) return filter.filters.every((inner) => holds(inner, entry))
  if (filter instanceof OrFilter) return filter.filters.some((inner) => holds(inner, entry))
  if (filter instanceof NotFilter) return !holds(filter.filter, entry)
  if (filter instanceof PresenceFilter) return values(filter.attribute).length > 0
  if (filter instanceof EqualityFilter) return values(filter.attribute).includes(folded(String(filter.value)))
  if (filter instanceof SubstringFilter) {
    const { initial, any, final } = filter
    return values(filter.attribute).some((value) => value.startsWith(folded(initial)) && any.every((part) => value.includes(folded(part))) && value.endsWith(folded(final)))
  }
  throw new Fault('bad_request', 'a filter that the fake directory does not know')
}

function under(dn: string, base: string, scope: 'base' | 'one' | 'sub'): boolean {
  if (scope === 'base') return sameDn(dn, base)
  const [own, top] = [folded(dn), folded(base)]
  if (scope === 'sub') return own === top || own.endsWith(`,${top}`)
  return own.endsWith(`,${top}`) && !own.slice(0, -top.length - 1).replace(/\\,/g, '').includes(',')
}

export function createFakeDirectoryDriver(directory: FakeDirectory): DirectoryDriver {
  const open = ({ urls, user, password }: DirectoryServer, searching: boolean) => {
    if (directory.down || !urls.includes(directory.url)) throw new Fault('unavailable', `The directory does not answer (${urls.join('; ')}: no connection).`)
    if (searching && user !== null && !directory.entries.some((entry) => sameDn(entry.dn, user) && entry.password === password)) throw new Fault('bad_gateway', `The directory ${urls[0]} refuses the user that searches it: see ldap.user and ldap.password.`)
  }
  return {
    name: 'fake',
    search: async ({ server, base, scope, filter, attributes, limit, page_size }) => {
      open(server, true)
      directory.asked.push(filter)
      const parsed = FilterParser.parseString(filter)
      const wanted = attributes.map(folded)
      const found = directory.entries.filter((entry) => under(entry.dn, base, scope) && holds(parsed, entry))
      if (directory.size_limit > 0 && page_size === 0 && found.length > directory.size_limit) throw new Fault('bad_gateway', 'The directory gives no more than it allows at once: set ldap.page_size.')
      const entries = found.slice(0, limit).map(({ dn, attributes: all }) => ({ dn, attributes: Object.fromEntries(Object.entries(all).flatMap(([name, values]) => valuesFor(wanted, name, values, directory.values_limit))) }))
      return { entries, truncated: found.length > limit }
    },
    bind: async ({ server, dn, password }) => {
      open(server, false)
      return { bound: dn !== '' && password !== '' && directory.entries.some((entry) => sameDn(entry.dn, dn) && entry.password === password) }
    },
  }
}
