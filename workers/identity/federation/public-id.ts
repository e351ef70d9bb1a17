/** Ids of users and groups that live elsewhere: the same thing gets the same id for ever (keystone/identity/id_generators/sha256.py). */
import { createHash } from 'node:crypto'

export const publicId = (domainId: string, kind: 'user' | 'group', localId: string): string => createHash('sha256').update(domainId).update(kind).update(localId).digest('hex')
