/** LDAP by ldapts: one short connection per question. Messages name the server and what went wrong, never a password or a filter. */
import { readFile } from 'node:fs/promises'
import { Client, type ClientOptions, InsufficientAccessError, InvalidCredentialsError, InvalidDNSyntaxError, NoSuchObjectError, SizeLimitExceededError, AdminLimitExceededError, type Entry, type SearchOptions } from 'ldapts'
import type { DirectoryEntry, DirectoryServer } from '../../../../schema/agent/directory.ts'
import { Fault, isFault } from '../../../../schema/values/fault.ts'
import type { DirectoryDriver } from '../driver.ts'

export const CONNECT_TIMEOUT_MS = 3_000
export const ANSWER_TIMEOUT_MS = 8_000
const TIME_LIMIT_S = 8
/** Values of an entry that are carried; more than anybody's name has. */
const VALUES_MAX = 20_000

const textOf = (value: string | Buffer): string => (typeof value === 'string' ? value : value.toString())

function entryOf({ dn, ...rest }: Entry): DirectoryEntry {
  const attributes: Record<string, string[]> = {}
  for (const [name, value] of Object.entries(rest)) {
    const values = (Array.isArray(value) ? value : [value]) as (string | Buffer)[]
    if (values.length > 0) attributes[name.toLowerCase()] = values.slice(0, VALUES_MAX).map(textOf)
  }
  return { dn, attributes }
}

async function tlsOf({ verify, ca_file }: DirectoryServer): Promise<NonNullable<ClientOptions['tlsOptions']>> {
  return { rejectUnauthorized: verify, ...(ca_file === null ? {} : { ca: await readFile(ca_file, 'utf8') }) }
}

/** What the directory said, in words that may be shown to an operator. */
const wordsOf = (error: unknown): string => `${(error as Error).name}${(error as { code?: unknown }).code === undefined ? '' : ` ${String((error as { code?: unknown }).code)}`}`

/** Runs `work` on a connection to the first server that takes one. */
async function connected<T>(server: DirectoryServer, work: (client: Client) => Promise<T>): Promise<T> {
  const failures: string[] = []
  for (const url of server.urls) {
    let client: Client | null = null
    try {
      const tlsOptions = await tlsOf(server)
      client = new Client({ url, timeout: ANSWER_TIMEOUT_MS, connectTimeout: CONNECT_TIMEOUT_MS, ...(url.startsWith('ldaps:') ? { tlsOptions } : {}) })
      if (server.start_tls && url.startsWith('ldap:')) await client.startTLS(tlsOptions)
      return await work(client)
    } catch (error) {
      if (isFault(error)) throw error
      failures.push(`${url}: ${wordsOf(error)}`)
    } finally {
      await client?.unbind().catch(() => {})
    }
  }
  throw new Fault('unavailable', `The directory does not answer (${failures.join('; ')}).`)
}

async function asSearcher(client: Client, { user, password, urls }: DirectoryServer): Promise<void> {
  if (user === null) return
  try {
    await client.bind(user, password ?? '')
  } catch (error) {
    if (error instanceof InvalidCredentialsError || error instanceof InvalidDNSyntaxError) throw new Fault('bad_gateway', `The directory ${urls[0] ?? ''} refuses the user that searches it: see ldap.user and ldap.password.`)
    throw error
  }
}

export function createLdapDirectoryDriver(): DirectoryDriver {
  return {
    name: 'ldap',
    search: async ({ server, base, scope, filter, attributes, limit, page_size }) =>
      await connected(server, async (client) => {
        await asSearcher(client, server)
        const entries: DirectoryEntry[] = []
        const options: SearchOptions = { scope, filter, attributes, timeLimit: TIME_LIMIT_S, ...(page_size > 0 ? { paged: { pageSize: page_size } } : { sizeLimit: limit + 1 }) }
        try {
          // A directory of a hundred thousand is read only as far as it is asked for.
          if (page_size > 0) {
            for await (const page of client.searchPaginated(base, options)) {
              entries.push(...page.searchEntries.map(entryOf))
              if (entries.length > limit) break
            }
          } else entries.push(...(await client.search(base, options)).searchEntries.map(entryOf))
        } catch (error) {
          if (error instanceof NoSuchObjectError) return { entries: [], truncated: false }
          if (error instanceof SizeLimitExceededError || error instanceof AdminLimitExceededError) {
            if (entries.length === 0) throw new Fault('bad_gateway', 'The directory gives no more than it allows at once: set ldap.page_size.')
            return { entries: entries.slice(0, limit), truncated: true }
          }
          if (error instanceof InsufficientAccessError) throw new Fault('bad_gateway', 'The directory does not let the user that searches it search there.')
          throw error
        }
        return { entries: entries.slice(0, limit), truncated: entries.length > limit }
      }),
    bind: async ({ server, dn, password }) => {
      // RFC 4513 5.1.2: a name with an empty password is taken by many servers, and proves nothing.
      if (dn === '' || password === '') return { bound: false }
      return await connected(server, async (client) => {
        try {
          await client.bind(dn, password)
          return { bound: true }
        } catch (error) {
          if (error instanceof InvalidCredentialsError || error instanceof InvalidDNSyntaxError || error instanceof NoSuchObjectError) return { bound: false }
          throw error
        }
      })
    },
  }
}
