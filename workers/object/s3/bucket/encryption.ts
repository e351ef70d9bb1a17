/** A bucket's default encryption: what is written into it from now on is encrypted, by whichever dialect and whatever the deployment's setting. */
import { ENCRYPTION_META, isEncrypting, sealsContainer } from '../../encryption/keymaster.ts'
import { readText } from '../body.ts'
import { s3Fault } from '../errors.ts'
import { forgetBucket } from '../known.ts'
import { element, leaf, xmlResponse } from '../markup.ts'
import { ALGORITHM, canEncrypt } from '../object/encryption.ts'
import type { S3Request } from '../request.ts'
import { childOf, onlyChildren, parseXml, textOf } from '../xml.ts'
import { forOwner } from './settings.ts'

export async function getEncryption(request: S3Request): Promise<Response> {
  const bucket = await forOwner(request, 'GetEncryptionConfiguration')
  if (sealsContainer(bucket.info.metadata) !== true && !isEncrypting(request.env)) throw s3Fault('ServerSideEncryptionConfigurationNotFoundError', undefined, { BucketName: request.bucketName })
  return xmlResponse(element('ServerSideEncryptionConfiguration', element('Rule', element('ApplyServerSideEncryptionByDefault', leaf('SSEAlgorithm', ALGORITHM)), leaf('BucketKeyEnabled', false))))
}

async function set(request: S3Request, value: string): Promise<void> {
  await request.container().post({ [ENCRYPTION_META]: value })
  forgetBucket(request.env, request.account, request.bucketName)
}

export async function putEncryption(request: S3Request): Promise<Response> {
  await forOwner(request, 'PutEncryptionConfiguration')
  if (!canEncrypt(request)) throw s3Fault('NotImplemented', 'PUT ?encryption is not there: the operator has given no root secret for it.', { Header: 'encryption' })
  const root = parseXml(await readText(request), 'ServerSideEncryptionConfiguration')
  onlyChildren(root, ['Rule'])
  const rule = childOf(root, 'Rule')
  const byDefault = rule === undefined ? undefined : childOf(rule, 'ApplyServerSideEncryptionByDefault')
  if (rule === undefined || byDefault === undefined) throw s3Fault('MalformedXML')
  onlyChildren(rule, ['ApplyServerSideEncryptionByDefault', 'BucketKeyEnabled'])
  const algorithm = textOf(byDefault, 'SSEAlgorithm')
  if (algorithm === undefined) throw s3Fault('MalformedXML')
  if (algorithm !== ALGORITHM || textOf(byDefault, 'KMSMasterKeyID') !== undefined) throw s3Fault('NotImplemented', `Encryption with keys of a key management service (${algorithm}) is not there; ${ALGORITHM} is.`)
  await set(request, ALGORITHM)
  return new Response(null, { status: 200, headers: { 'content-length': '0' } })
}

export async function deleteEncryption(request: S3Request): Promise<Response> {
  await forOwner(request, 'PutEncryptionConfiguration')
  await set(request, '')
  return new Response(null, { status: 204 })
}
