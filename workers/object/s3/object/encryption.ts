/** Encryption as S3 speaks of it: a request may ask for it (SSE-S3), an answer says that what is stored is encrypted. Keys that are not this deployment's are not there. */
import { isEncrypting, rootIds } from '../../encryption/keymaster.ts'
import { s3Fault } from '../errors.ts'
import type { S3Request } from '../request.ts'

export const ALGORITHM = 'AES256'
const HEADER = 'x-amz-server-side-encryption'

/** Whether there is a root secret to encrypt with. */
export const canEncrypt = (request: S3Request): boolean => rootIds(request.env).length > 0

/** What a write is told: encrypted where its request says so; else the bucket and the deployment decide. */
export function sealAsked(request: S3Request): { seal?: true } {
  for (const [name, value] of request.headers) {
    if (!name.startsWith(HEADER)) continue
    if (name !== HEADER || value !== ALGORITHM) throw s3Fault('NotImplemented', `Server-side encryption with other keys than this deployment's (${name}) is not there; ${HEADER}: ${ALGORITHM} is.`)
    if (!canEncrypt(request)) throw s3Fault('NotImplemented', `Server-side encryption (${name}) is not there: the operator has given no root secret for it.`)
  }
  return request.headers.has(HEADER) ? { seal: true } : {}
}

export const sealedHeaders = (sealed: boolean | undefined): Record<string, string> => (sealed === true ? { [HEADER]: ALGORITHM } : {})

/** An upload that begins now will be encrypted. */
export const willSeal = (request: S3Request, container: boolean): boolean => request.headers.has(HEADER) || container || isEncrypting(request.env)
