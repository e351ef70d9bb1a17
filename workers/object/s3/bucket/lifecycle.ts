/** A bucket's lifecycle rules; chores.ts runs them. */
import { readText } from '../body.ts'
import { s3Fault } from '../errors.ts'
import { type Rule, lifecycleXml, parseLifecycle } from '../lifecycle.ts'
import { xmlResponse } from '../markup.ts'
import type { S3Request } from '../request.ts'
import { configure, forOwner } from './settings.ts'

export async function getLifecycle(request: S3Request): Promise<Response> {
  const { lifecycle } = (await forOwner(request, 'GetLifecycleConfiguration')).config
  if (lifecycle === undefined) throw s3Fault('NoSuchLifecycleConfiguration', undefined, { BucketName: request.bucketName })
  return xmlResponse(lifecycleXml(JSON.parse(lifecycle) as Rule[]))
}

export async function putLifecycle(request: S3Request): Promise<Response> {
  await forOwner(request, 'PutLifecycleConfiguration')
  await configure(request, { lifecycle: JSON.stringify(parseLifecycle(await readText(request))) })
  return new Response(null, { status: 200, headers: { 'content-length': '0' } })
}

export async function deleteLifecycle(request: S3Request): Promise<Response> {
  await forOwner(request, 'PutLifecycleConfiguration')
  await configure(request, { lifecycle: null })
  return new Response(null, { status: 204 })
}
