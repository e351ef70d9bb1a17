/** PutObject and CopyObject. */
import { type DigestName, isDigestName } from '../../../../schema/values/digests.ts'
import { isFault } from '../../../../schema/values/fault.ts'
import type { Metadata } from '../../headers.ts'
import { metaOf } from '../../headers.ts'
import type { ObjectName } from '../../names.ts'
import { dateOf } from '../../conditions.ts'
import { openObject } from '../../object/large.ts'
import { type Opened, bodyOf } from '../../object/read.ts'
import { commitWrite } from '../../object/write.ts'
import { KEY_BYTES_MAX, isBucketName, isProject } from '../address.ts'
import { OBJECT_BYTES_MAX, incoming } from '../body.ts'
import { s3Fault } from '../errors.ts'
import { type Bucket, knownBucket, ownerOfName } from '../known.ts'
import { element, leaf, xmlResponse } from '../markup.ts'
import type { S3Request } from '../request.ts'
import { s3Time } from '../time.ts'
import { sealAsked, sealedHeaders } from './encryption.ts'
import { CHECKSUM_META, ETAG_META, carried, describe, refuseUnknown, rowExtra } from './metadata.ts'
import { noteTags, storeBody, versionHeaders, writeInto } from './store-body.ts'

const PUT = { action: 's3:PutObject', level: 'object', operation: 'put' } as const

/** What a write to the key may need: more than writing, where it brings a list or tags. */
export async function authorizePut(request: S3Request): Promise<Bucket> {
  const bucket = await request.authorize(PUT)
  // Parts and copies bring none of their own, or what their upload was begun with.
  if (request.query.has('uploadId') || request.headers.has('x-amz-copy-source')) return bucket
  const extra = rowExtra(request, bucket)
  if (extra['s3-acl'] !== undefined) await request.authorize({ ...PUT, action: 's3:PutObjectAcl' })
  if (extra['s3-tags'] !== undefined) await request.authorize({ ...PUT, action: 's3:PutObjectTagging' })
  return bucket
}

export async function putObject(request: S3Request): Promise<Response> {
  const bucket = await authorizePut(request)
  refuseUnknown(request.headers)
  const seal = sealAsked(request)
  const extra = rowExtra(request, bucket)
  if (extra['s3-tags'] !== undefined) await noteTags(request, bucket)
  const stored = await storeBody(request, request.name, incoming(request), { ...describe(request.headers), ...seal, extra })
  return new Response(null, { status: 200, headers: { etag: `"${stored.etag}"`, 'content-length': '0', ...versionHeaders(stored.begun), ...sealedHeaders(stored.head?.sealed ?? seal.seal), ...(stored.checksum === null ? {} : { [`x-amz-checksum-${stored.checksum.algorithm}`]: stored.checksum.value, 'x-amz-checksum-type': 'FULL_OBJECT' }) } })
}

// ---------------------------------------------------------------- copies

export interface Source {
  name: ObjectName
  version: string | null
  opened: Opened
  etag: string
}

/** The ETag that S3's clients see of an opened object. */
export const etagOf = (opened: Opened): string => metaOf(opened.metadata, ETAG_META) ?? opened.etag.replace(/"/g, '')

/** What x-amz-copy-source names, opened, its conditions met. */
export async function openSource(request: S3Request, withBody: boolean): Promise<Source> {
  const { name, version } = await sourceOf(request)
  await request.authorize({ action: version === null ? 's3:GetObject' : 's3:GetObjectVersion', level: 'object', operation: 'get' }, name.object, name.container, name.account)
  const reader = { env: request.env, now_ms: request.now_ms, segments: false, needIn: async (level: 'container' | 'object', operation: 'get', container: string, object: string | null, account?: string) => (container === `${name.container}+segments` && account === name.account ? 'acl' as const : await request.needIn(level, operation, container, object, account)) }
  const opened = await openObject(reader as never, name, { withBody, ...(version === null ? {} : { version }) })
  if (opened === null) throw s3Fault(version === null ? 'NoSuchKey' : 'NoSuchVersion', undefined, { Key: name.object })
  const etag = etagOf(opened)
  try {
    sourceConditions(request.headers, etag, Math.ceil(Number(opened.timestamp)) * 1000)
  } catch (error) {
    opened.drop()
    throw error
  }
  return { name, version: opened.version, opened, etag }
}

export async function sourceOf(request: S3Request): Promise<{ name: ObjectName; version: string | null }> {
  const wrong = () => s3Fault('InvalidArgument', 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey', { ArgumentName: 'x-amz-copy-source', ArgumentValue: request.headers.get('x-amz-copy-source') ?? '' })
  const [path = '', query = ''] = (request.headers.get('x-amz-copy-source') ?? '').split('?', 2)
  let text: string
  try {
    text = decodeURIComponent(path).replace(/^\//, '')
  } catch {
    throw wrong()
  }
  const at = text.indexOf('/')
  const [full, object] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)]
  const colon = full.indexOf(':')
  const container = full.slice(colon + 1)
  if (at <= 0 || object === '' || !isBucketName(container) || (colon >= 0 && !isProject(full.slice(0, colon))) || new TextEncoder().encode(object).byteLength > KEY_BYTES_MAX) throw wrong()
  const own = `AUTH_${request.caller?.project_id ?? ''}`
  const account = colon > 0 ? `AUTH_${full.slice(0, colon)}` : (await knownBucket(request.env, own, container, request.now_ms)) !== null ? own : ((await ownerOfName(request.env, container, request.now_ms)) ?? own)
  return { name: { account, container, object }, version: new URLSearchParams(query).get('versionId') }
}

function sourceConditions(headers: Headers, etag: string, modified_ms: number): void {
  const tags = (name: string) => headers.get(name)?.split(',').map((part) => part.trim().replace(/^"(.*)"$/, '$1')) ?? null
  const [match, noneMatch] = [tags('x-amz-copy-source-if-match'), tags('x-amz-copy-source-if-none-match')]
  const [unmodified, modified] = [dateOf(headers.get('x-amz-copy-source-if-unmodified-since')), dateOf(headers.get('x-amz-copy-source-if-modified-since'))]
  const failed = (match !== null && !match.includes('*') && !match.includes(etag)) || (match === null && unmodified !== null && modified_ms > unmodified) || noneMatch?.includes('*') || noneMatch?.includes(etag) || (noneMatch === null && modified !== null && modified_ms <= modified)
  if (failed) throw s3Fault('PreconditionFailed')
}

function directive(request: S3Request, name: string): 'COPY' | 'REPLACE' {
  const given = request.headers.get(name) ?? 'COPY'
  if (given !== 'COPY' && given !== 'REPLACE') throw s3Fault('InvalidArgument', `Unknown ${name} directive.`, { ArgumentName: name, ArgumentValue: given })
  return given
}

export async function copyObject(request: S3Request): Promise<Response> {
  const bucket = await request.authorize(PUT)
  refuseUnknown(request.headers)
  const seal = sealAsked(request)
  const [metadataFrom, tagsFrom] = [directive(request, 'x-amz-metadata-directive'), directive(request, 'x-amz-tagging-directive')]
  const extra = rowExtra(request, bucket)
  const source = await openSource(request, true)
  const { opened, name } = source
  if (opened.size > OBJECT_BYTES_MAX) {
    opened.drop()
    throw s3Fault('InvalidRequest', `The specified copy source is larger than the maximum allowable size for a copy source: ${OBJECT_BYTES_MAX}`)
  }
  const ontoItself = name.account === request.account && name.container === request.bucketName && name.object === request.key && request.headers.get('x-amz-copy-source')?.includes('versionId=') !== true
  if (ontoItself && metadataFrom === 'COPY' && tagsFrom === 'COPY' && request.headers.get('x-amz-website-redirect-location') === null && seal.seal !== true) {
    opened.drop()
    throw s3Fault('InvalidRequest', "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
  }
  if (tagsFrom === 'COPY') {
    const row = await request.env.CONTAINER.getByName(`${name.account}/${name.container}`).version(name.object, source.version ?? 'null')
    if (row?.extra?.['s3-tags'] !== undefined) extra['s3-tags'] = row.extra['s3-tags']
    else delete extra['s3-tags']
  }
  if (extra['s3-tags'] !== undefined) await noteTags(request, bucket)
  const described = metadataFrom === 'REPLACE' ? describe(request.headers) : { metadata: carried(opened.metadata), content_type: opened.content_type }
  const algorithm = checksumWanted(request, opened.metadata)
  const { head, begun } = await writeCopy(request, source, { ...described, ...seal }, extra, algorithm)
  const digest = algorithm === null ? undefined : head?.digests?.[algorithm]
  const versions: Record<string, string> = source.version === null ? {} : { 'x-amz-copy-source-version-id': source.version }
  return xmlResponse(element('CopyObjectResult', leaf('LastModified', s3Time(begun.timestamp)), leaf('ETag', `"${head?.etag ?? source.etag}"`), algorithm === null || digest === undefined ? '' : `${leaf(`Checksum${algorithm.toUpperCase()}`, digest)}${leaf('ChecksumType', 'FULL_OBJECT')}`), 200, { ...versionHeaders(begun), ...versions, ...sealedHeaders(head?.sealed ?? seal.seal) })
}

async function writeCopy(request: S3Request, { opened }: Source, { metadata, content_type, seal }: { metadata: Metadata; content_type: string; seal?: true }, extra: Record<string, string>, algorithm: DigestName | null) {
  const all = algorithm === null ? metadata : { ...metadata, [CHECKSUM_META]: `${algorithm} - FULL_OBJECT` }
  try {
    return await writeInto(request, request.name, opened.size, async (begun) => {
      const body = opened.size === 0 ? new Uint8Array() : bodyOf(await opened.open(null))
      return await commitWrite(request.env, begun, body, {
        metadata: all, content_type, size: opened.size, etag: null, ...(seal === undefined ? {} : { seal }), ...(algorithm === null ? {} : { want: { digests: { [algorithm]: null } } }),
        extra: (head) => (algorithm === null ? extra : { ...extra, 's3-checksum': `${algorithm} ${head.digests?.[algorithm] ?? ''} FULL_OBJECT` }),
      }, request.now_ms)
    })
  } catch (error) {
    opened.drop()
    if (isFault(error, 'not_found') && error.type === undefined) throw s3Fault('NoSuchBucket')
    throw error
  }
}

/** The one asked for, else the source's own. */
function checksumWanted(request: S3Request, metadata: Metadata): DigestName | null {
  const asked = request.headers.get('x-amz-checksum-algorithm')?.toLowerCase() ?? metaOf(metadata, CHECKSUM_META)?.split(' ')[0]
  if (asked === undefined) return null
  if (!isDigestName(asked)) throw s3Fault('InvalidRequest', 'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]')
  return asked
}
