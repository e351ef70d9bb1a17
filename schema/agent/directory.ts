/** What is asked of a host about a directory, and what it answers. */
export interface DirectoryServer {
  /** ldap:// or ldaps://, tried in this order. */
  urls: string[]
  start_tls: boolean
  /** False only where the operator said that certificates need not be right. */
  verify: boolean
  /** PEM file on the host. */
  ca_file: string | null
  /** Who searches; null is nobody in particular. */
  user: string | null
  password: string | null
}

export interface DirectorySearch {
  server: DirectoryServer
  base: string
  scope: 'base' | 'one' | 'sub'
  /** RFC 4515. */
  filter: string
  attributes: string[]
  limit: number
  /** Entries per page; 0 asks without pages. */
  page_size: number
}

/** Attribute names in lower case. */
export interface DirectoryEntry {
  dn: string
  attributes: Record<string, string[]>
}

export interface DirectoryFound {
  entries: DirectoryEntry[]
  /** There are more than the limit, or than the server gives. */
  truncated: boolean
}

export interface DirectoryBind {
  server: DirectoryServer
  dn: string
  password: string
}
