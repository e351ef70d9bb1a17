/** Configuration of one domain, by group and option. Runs in the Identity object. */
import { and, eq } from 'drizzle-orm'
import { domainConfig } from '../../../schema/identity/tables.ts'
import { Fault } from '../../../schema/values/fault.ts'
import { projectById } from '../assignments/effective.ts'
import { type Realm, forbidden, notFound } from '../kernel/realm.ts'
import { Store, inTx } from '../kernel/store.ts'
import { DOMAIN_OPTIONS, FURTHER_OPTIONS, SENSITIVE_OPTIONS } from './options.ts'

export type Config = Record<string, Record<string, unknown>>

const missing = (domainId: string, group?: string, option?: string) =>
  new Fault('not_found', `Could not find ${option === undefined ? (group === undefined ? 'any options' : `group ${group}`) : `option ${option} in group ${group}`} in domain configuration for domain ${domainId}.`)

function known(group: string, option?: string): void {
  if (DOMAIN_OPTIONS[group] === undefined) throw forbidden(`Invalid domain specific configuration: Group ${group} is not supported for domain specific configurations.`)
  if (option !== undefined && !(option in (DOMAIN_OPTIONS[group] ?? {})) && !SENSITIVE_OPTIONS[group]?.includes(option) && !FURTHER_OPTIONS[group]?.includes(option)) throw forbidden(`Invalid domain specific configuration: Option ${option} in group ${group} is not supported for domain specific configurations.`)
}

/** What a sensitive value is bound to where it is sealed. */
export const configRow = (domainId: string, group: string, option: string): string => `domain_config/${domainId}/${group}/${option}`

/** Who knows the users of a domain; null is this cloud itself. With the options, secrets among them. */
export function directoryOptions({ db, vault }: Realm, domainId: string): { driver: string; options: Record<string, unknown>; list_limit: unknown } | null {
  const driver = db.select().from(domainConfig).where(and(eq(domainConfig.domain_id, domainId), eq(domainConfig.group, 'identity'), eq(domainConfig.option, 'driver'))).get()?.value
  if (driver === undefined || driver === 'sql') return null
  const rows = db.select().from(domainConfig).where(eq(domainConfig.domain_id, domainId)).all()
  const opened = rows.filter(({ group }) => group === 'ldap').map(({ option, value, sealed }) => [option, sealed === null ? value : vault.open({ text: String(value), sealed }, configRow(domainId, 'ldap', option))])
  return { driver: String(driver), options: Object.fromEntries(opened), list_limit: rows.find(({ group, option }) => group === 'identity' && option === 'list_limit')?.value ?? null }
}

export class DomainConfig extends Store {
  /** What is set, without what is sensitive. */
  get(domainId: string, group?: string, option?: string): Config {
    this.#domain(domainId)
    if (group !== undefined) known(group, option)
    const config: Config = {}
    for (const row of this.#rows(domainId, group, option)) {
      if (SENSITIVE_OPTIONS[row.group]?.includes(row.option)) continue
      config[row.group] = { ...config[row.group], [row.option]: row.value }
    }
    if (Object.keys(config).length === 0) throw missing(domainId, group, option)
    return config
  }

  /** Replaces all of it. True where there was none before. */
  replace(domainId: string, config: Config): boolean {
    this.#domain(domainId)
    this.#check(config)
    return inTx(this, (tx) => {
      const fresh = this.#rows(domainId).length === 0
      tx.db.delete(domainConfig).where(eq(domainConfig.domain_id, domainId)).run()
      this.#write(domainId, config)
      tx.change('domain config', domainId, 'update', null, Object.keys(config))
      return fresh
    })
  }

  /** Lays options over what is set, if anything; a group or option named in the path must be there already. */
  update(domainId: string, config: Config, group?: string, option?: string): Config {
    this.#domain(domainId)
    this.#check(config)
    return inTx(this, (tx) => {
      if (group !== undefined && this.#rows(domainId, group, option).length === 0) throw missing(domainId, group, option)
      this.#write(domainId, config)
      tx.change('domain config', domainId, 'update', null, Object.keys(config))
      return this.get(domainId)
    })
  }

  delete(domainId: string, group?: string, option?: string): void {
    this.#domain(domainId)
    if (group !== undefined) known(group, option)
    inTx(this, (tx) => {
      if (group !== undefined && this.#rows(domainId, group, option).length === 0) throw missing(domainId, group, option)
      tx.db.delete(domainConfig).where(this.#where(domainId, group, option)).run()
      tx.change('domain config', domainId, 'delete', { group, option }, null)
    })
  }

  #check(config: Config): void {
    if (Object.keys(config).length === 0) throw forbidden('Invalid domain specific configuration: No options specified.')
    for (const [group, options] of Object.entries(config)) {
      known(group)
      if (typeof options !== 'object' || options === null) throw forbidden(`Invalid domain specific configuration: The value of group ${group} specified in the config should be a dictionary of options.`)
      for (const option of Object.keys(options)) known(group, option)
    }
  }

  #write(domainId: string, config: Config): void {
    for (const [group, options] of Object.entries(config)) {
      for (const [option, value] of Object.entries(options)) {
        const secret = SENSITIVE_OPTIONS[group]?.includes(option) === true && typeof value === 'string'
        const kept = secret ? this.realm.vault.seal(value, configRow(domainId, group, option)) : { text: value, sealed: null }
        this.realm.db.insert(domainConfig).values({ domain_id: domainId, group, option, value: kept.text, sealed: kept.sealed }).onConflictDoUpdate({ target: [domainConfig.domain_id, domainConfig.group, domainConfig.option], set: { value: kept.text, sealed: kept.sealed } }).run()
      }
    }
  }

  #where = (domainId: string, group?: string, option?: string) => and(eq(domainConfig.domain_id, domainId), group === undefined ? undefined : eq(domainConfig.group, group), option === undefined ? undefined : eq(domainConfig.option, option))

  #rows(domainId: string, group?: string, option?: string) {
    return this.realm.db.select().from(domainConfig).where(this.#where(domainId, group, option)).all()
  }

  #domain(id: string): void {
    if (projectById(this.realm.db, id)?.is_domain !== true) throw notFound('domain', id)
  }
}
