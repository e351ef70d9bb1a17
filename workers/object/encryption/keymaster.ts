/**
 * The keymaster: root secrets of the deployment (OBJECT_KEYS: base64url, 32 bytes each, comma separated; the first one seals, every one opens), and the keys that come of them.
 * A root secret makes one key for each container, that one makes a key for each path in it: so a host learns keys of single objects, a door those of single containers, and
 * nobody but the plane a root secret. Derived anew at each request (a few microseconds), kept nowhere.
 */
import { createHash, createHmac } from 'node:crypto'
import type { Env } from '../../../durable-objects/kernel/env.ts'
import { KEY_BYTES, type Sealing, type SealingKey } from '../../../schema/agent/sealing.ts'
import { swiftFault } from '../errors.ts'
import { type ObjectName, containerKey, objectPath } from '../names.ts'
import { swiftOptions } from '../options.ts'

interface Root {
  id: string
  bytes: Buffer
}

const parsed = new Map<string, Root[]>()

function rootsOf(text: string): Root[] {
  const known = parsed.get(text)
  if (known !== undefined) return known
  const roots = text.split(',').map((part) => part.trim()).filter((part) => part !== '').map((part) => {
    const bytes = Buffer.from(part, 'base64url')
    if (bytes.length !== KEY_BYTES) throw new Error(`OBJECT_KEYS: each root secret is ${KEY_BYTES} bytes in base64url`)
    return { id: createHash('sha256').update('skyhook object root secret').update(bytes).digest('hex').slice(0, 16), bytes }
  })
  parsed.clear()
  parsed.set(text, roots)
  return roots
}

/** No secrets: what each root secret is called, the one that seals first. */
export const rootIds = (env: Pick<Env, 'OBJECT_KEYS'>): string[] => rootsOf(env.OBJECT_KEYS ?? '').map(({ id }) => id)

const derive = (from: Uint8Array | Buffer, what: string): Buffer => createHmac('sha256', from).update(what).digest()

/** The bytes of a version lie in a container of their own name: its keys are those of the container it is a version of. */
const owner = (container: string): string => (container.startsWith('\0versions\0') ? container.slice('\0versions\0'.length) : container)

/** The keys of a container, made of the root secrets. No client can name a container with NUL. */
export const containerKeys = (env: Pick<Env, 'OBJECT_KEYS'>, account: string, container: string): SealingKey[] =>
  rootsOf(env.OBJECT_KEYS ?? '').map(({ id, bytes }) => ({ root: id, key: derive(bytes, `container\0${containerKey(account, owner(container))}`).toString('base64url') }))

export const objectKeys = (keys: readonly SealingKey[], name: ObjectName): SealingKey[] => keys.map(({ root, key }) => ({ root, key: derive(Buffer.from(key, 'base64url'), `object\0${objectPath(name)}`).toString('base64url') }))

/** Keys of the same paths that no host is ever told: what erasure-coded objects are sealed under before hosts get pieces of them. */
export async function fragmentKeys(env: Env, name: ObjectName): Promise<SealingKey[]> {
  return (await keysOf(env, name)).map(({ root, key }) => ({ root, key: derive(Buffer.from(key, 'base64url'), `fragments\0${objectPath(name)}`).toString('base64url') }))
}

/** Of its container. A door is told them by the plane (`DOOR_KEYS`). */
const keysOf = async (env: Env, name: ObjectName): Promise<readonly SealingKey[]> =>
  env.DOOR_KEYS === undefined ? containerKeys(env, name.account, name.container) : await env.DOOR_KEYS(name.account, owner(name.container), name)

/** What is written from now on is encrypted unless a write says otherwise. */
export const isEncrypting = (env: Pick<Env, 'OPTIONS'>): boolean => swiftOptions(env).encryption === true

/** Set by S3's bucket encryption: what is written into the container is encrypted, whatever the deployment's setting. */
export const ENCRYPTION_META = 'x-container-sysmeta-encryption'
export const sealsContainer = (metadata: Readonly<Record<string, string>>): true | undefined => (metadata[ENCRYPTION_META] === undefined ? undefined : true)

/** The keys of an object, for one request; none where there is no root secret. */
export async function sealingOf(env: Env, name: ObjectName): Promise<Sealing | undefined> {
  const keys = await keysOf(env, name)
  const seal = isEncrypting(env)
  return keys.length === 0 && !seal ? undefined : { seal, keys: objectKeys(keys, name) }
}

/** Of a write: `seal` where it says so itself. Refused where there is nothing to encrypt with. */
export function sealingFor(sealing: Sealing | undefined, seal: boolean | undefined): Sealing | undefined {
  if (sealing === undefined && seal !== true) return undefined
  const wanted: Sealing = { keys: sealing?.keys ?? [], seal: seal ?? sealing?.seal ?? false }
  if (wanted.seal && wanted.keys.length === 0) throw swiftFault(503, 'Objects are to be encrypted, and there is no root secret for it here (OBJECT_KEYS).')
  return wanted
}
