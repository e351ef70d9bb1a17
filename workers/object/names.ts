/**
 * What a path means: account, container and object, as the client wrote them. Names hold anything but NUL, so the raw path is split here and each part is
 * decoded once: '%2F' inside a container is a slash (refused), '//' and a trailing '/' belong to the object's name.
 */
import { createHash } from 'node:crypto'
import { swiftFault } from './errors.ts'

export const PREFIX = '/object-store'

export interface Names {
  account: string
  container: string | null
  object: string | null
}

/** Everything of one object's address that places and stores it. */
export interface ObjectName {
  account: string
  container: string
  object: string
}

const bytesOf = (text: string): number => new TextEncoder().encode(text).byteLength

export const NAME_LIMITS = { account: 256, container: 256, object: 1024 } as const

/** The path as it came, never normalised: '/a/../b' is a name too. */
export function rawPath(url: string): string {
  const afterScheme = url.indexOf('://')
  const start = url.indexOf('/', afterScheme < 0 ? 0 : afterScheme + 3)
  if (start < 0) return '/'
  const end = url.slice(start).search(/[?#]/)
  return end < 0 ? url.slice(start) : url.slice(start, start + end)
}

export function decodeName(raw: string): string {
  let text: string
  try {
    text = decodeURIComponent(raw)
  } catch {
    throw swiftFault(412, 'Invalid UTF8 or contains NULL')
  }
  if (text.includes('\0')) throw swiftFault(412, 'Invalid UTF8 or contains NULL')
  return text
}

/** '/v1/AUTH_x/c/o/with/slashes' after the service's prefix; null where it is no account path. */
export function splitPath(path: string): { account: string; container: string | null; object: string | null } | null {
  const match = /^\/v1(?:\.0)?\/([^/]+)(?:\/([^/]*)(?:\/(.*))?)?$/s.exec(path)
  if (match === null) return null
  const [, account = '', container, object] = match
  if (container === undefined || container === '') return object === undefined || object === '' ? { account, container: null, object: null } : null
  return { account, container, object: object === undefined || object === '' ? null : object }
}

export function parseNames(path: string): Names {
  const parts = splitPath(path)
  if (parts === null) throw swiftFault(404)
  const names: Names = { account: decodeName(parts.account), container: parts.container === null ? null : decodeName(parts.container), object: parts.object === null ? null : decodeName(parts.object) }
  if (names.account.includes('/') || bytesOf(names.account) > NAME_LIMITS.account) throw swiftFault(404)
  if (names.container !== null) checkContainerName(names.container)
  return names
}

export function checkContainerName(container: string): void {
  if (container.includes('/')) throw swiftFault(412, 'Container name cannot contain slashes')
  const length = bytesOf(container)
  if (length > NAME_LIMITS.container) throw swiftFault(400, `Container name length of ${length} longer than ${NAME_LIMITS.container}`)
}

export function checkObjectName(object: string): void {
  const length = bytesOf(object)
  if (length > NAME_LIMITS.object) throw swiftFault(400, `Object name length of ${length} longer than ${NAME_LIMITS.object}`)
}

/** 'container/object', as X-Copy-From, Destination and manifests write it; quoted or not. */
export function splitContainerObject(text: string, fault: () => Error): { container: string; object: string } {
  const path = text.startsWith('/') ? text.slice(1) : text
  const at = path.indexOf('/')
  if (at <= 0 || at === path.length - 1) throw fault()
  return { container: path.slice(0, at), object: path.slice(at + 1) }
}

export const quotePath = (text: string): string => encodeURIComponent(text).replace(/%2F/g, '/').replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

/** The project whose account it is. */
export const projectOf = (account: string): string => account.replace(/^AUTH_/, '')
export const containerKey = (account: string, container: string): string => `${account}/${container}`
/** The object of one part of a large container's listing: no client can name it. */
export const shardKey = (container: string, id: string): string => `${container}\0${id}`
export const objectPath = (name: ObjectName): string => `/${name.account}/${name.container}/${name.object}`

/** hex MD5 of the path between the ring's secret prefix and suffix: nobody outside can aim at a partition. */
export const hashOf = (name: ObjectName, prefix: string, suffix: string): string => createHash('md5').update(`${prefix}${objectPath(name)}${suffix}`).digest('hex')
export const partitionOf = (hash: string, partPower: number): number => Number.parseInt(hash.slice(0, 8), 16) >>> (32 - partPower)
