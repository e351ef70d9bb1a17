/** Uploads by an HTML form (POST Object): a signed policy says what its fields may be and until when. Held in memory, as a form of a browser is. */
import { createHash } from 'node:crypto'
import { type Env, IDENTITY_NAME } from '../../../../durable-objects/kernel/env.ts'
import { isFault } from '../../../../schema/values/fault.ts'
import { sameSignature, sign } from '../../../http/sigv4.ts'
import { KEY_BYTES_MAX } from '../address.ts'
import type { Incoming } from '../body.ts'
import { s3Fault } from '../errors.ts'
import { document, element, leaf } from '../markup.ts'
import type { S3Request } from '../request.ts'
import { type Signed, checkScope, keyOf } from '../signature.ts'
import { sealAsked, sealedHeaders } from './encryption.ts'
import { describe, refuseUnknown, rowExtra, tagsText } from './metadata.ts'
import { noteTags, storeBody, versionHeaders } from './store-body.ts'
import { tagsOfXml } from './subresources.ts'

export const FORM_BYTES_MAX = 64 * 1024 * 1024
const FIELDS_MAX = 100
const FIELD_BYTES_MAX = 20 * 1024

interface Form {
  /** Names in lower case. */
  fields: Map<string, string>
  file: { filename: string; type: string; bytes: Uint8Array } | null
}

async function readForm(request: S3Request): Promise<Form> {
  const boundary = /boundary="?([^";]+)"?/i.exec(request.headers.get('content-type') ?? '')?.[1]
  if (boundary === undefined) throw s3Fault('MalformedPOSTRequest')
  if (Number(request.headers.get('content-length') ?? 0) > FORM_BYTES_MAX) throw s3Fault('EntityTooLarge', undefined, { MaxSizeAllowed: String(FORM_BYTES_MAX) })
  const body = Buffer.from(await request.request.arrayBuffer())
  if (body.byteLength > FORM_BYTES_MAX) throw s3Fault('EntityTooLarge', undefined, { MaxSizeAllowed: String(FORM_BYTES_MAX) })
  const form: Form = { fields: new Map(), file: null }
  const mark = Buffer.from(`--${boundary}`)
  // What follows the file is not looked at: nothing signed can come after it.
  for (let at = body.indexOf(mark); at >= 0 && form.file === null; ) {
    const start = at + mark.byteLength
    if (body.subarray(start, start + 2).toString('latin1') === '--') break
    const headEnd = body.indexOf('\r\n\r\n', start)
    const next = headEnd < 0 ? -1 : body.indexOf(Buffer.concat([Buffer.from('\r\n'), mark]), headEnd + 2)
    if (headEnd < 0 || next < 0) throw s3Fault('MalformedPOSTRequest')
    addPart(form, body.subarray(start, headEnd).toString('utf8'), body.subarray(headEnd + 4, next))
    at = next + 2
  }
  if (form.file === null) throw s3Fault('InvalidArgument', 'POST requires exactly one file upload per request.', { ArgumentName: 'file', ArgumentValue: '0' })
  return form
}

function addPart(form: Form, head: string, content: Buffer): void {
  const disposition = /^content-disposition:\s*form-data;?(.*)$/im.exec(head)?.[1] ?? ''
  const name = (/(?:^|[;\s])name="([^"]*)"/i.exec(disposition)?.[1] ?? '').toLowerCase()
  if (name === 'file') {
    form.file = { filename: /filename="([^"]*)"/i.exec(disposition)?.[1] ?? '', type: /^content-type:\s*(.+)$/im.exec(head)?.[1]?.trim() ?? '', bytes: new Uint8Array(content) }
    return
  }
  if (name === '' || content.byteLength > FIELD_BYTES_MAX || form.fields.size >= FIELDS_MAX) throw s3Fault('MalformedPOSTRequest')
  form.fields.set(name, content.toString('utf8'))
}

// ---------------------------------------------------------------- who signed, and what was allowed

async function signerOf(request: S3Request, fields: Form['fields']): Promise<Signed | null> {
  const policy = fields.get('policy')
  if (policy === undefined) {
    if (fields.has('x-amz-signature') || fields.has('signature')) throw s3Fault('InvalidArgument', 'Bucket POST must contain a field named \'policy\'.', { ArgumentName: 'policy' })
    return null
  }
  const credential = fields.get('x-amz-credential')
  if (credential === undefined) return await versionTwo(request, fields, policy)
  const parts = credential.split('/')
  const [date = '', region = '', service = ''] = parts.slice(-4)
  const access = parts.slice(0, -4).join('/')
  if (fields.get('x-amz-algorithm') !== 'AWS4-HMAC-SHA256' || access === '' || parts.at(-1) !== 'aws4_request' || !/^\d{8}$/.test(date)) throw s3Fault('InvalidArgument', undefined, { ArgumentName: 'x-amz-credential', ArgumentValue: credential })
  checkScope(request.env, { service, region })
  const { signing_key, caller } = await keyOf(request.env, access, { date, region, service }, request.now_ms)
  if (!sameSignature((fields.get('x-amz-signature') ?? '').toLowerCase(), sign(signing_key, policy))) throw s3Fault('SignatureDoesNotMatch', undefined, { AWSAccessKeyId: access })
  return { caller: { ...caller, request_id: request.ctx.requestId }, access, presigned: false, chunks: null, payload: 'UNSIGNED-PAYLOAD' }
}

async function versionTwo(request: S3Request, fields: Form['fields'], policy: string): Promise<Signed> {
  const [access, signature] = [fields.get('awsaccesskeyid'), fields.get('signature')]
  if (access === undefined || signature === undefined) throw s3Fault('InvalidArgument', 'Bucket POST must contain a field named \'AWSAccessKeyId\'.', { ArgumentName: 'AWSAccessKeyId' })
  const env: Env = request.env
  try {
    const { caller } = await env.IDENTITY.getByName(IDENTITY_NAME).s3Verify({ access, string_to_sign: policy, signature })
    return { caller: { ...caller, request_id: request.ctx.requestId }, access, presigned: false, chunks: null, payload: 'UNSIGNED-PAYLOAD' }
  } catch (error) {
    if (isFault(error) && error.type === undefined) throw s3Fault('InvalidAccessKeyId', undefined, { AWSAccessKeyId: access })
    throw error
  }
}

interface FormPolicy {
  expiration?: unknown
  conditions?: unknown
}

/** Fields that need no condition: they are the signature, or the file itself. */
const FREE = /^(x-amz-signature|signature|awsaccesskeyid|policy|file|x-ignore-.*)$/

/** Holds the form against its policy: every condition is met, and every field has one. */
export function checkFormPolicy(text: string, fields: ReadonlyMap<string, string>, bucket: string, size: number, now_ms: number): void {
  const refuse = (why: string) => s3Fault('AccessDenied', `Invalid according to Policy: ${why}`)
  let policy: FormPolicy
  try {
    policy = JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as FormPolicy
  } catch {
    throw s3Fault('InvalidPolicyDocument', 'Invalid Policy: Invalid JSON.')
  }
  const expires_ms = typeof policy.expiration === 'string' ? Date.parse(policy.expiration) : Number.NaN
  if (Number.isNaN(expires_ms) || !Array.isArray(policy.conditions)) throw s3Fault('InvalidPolicyDocument', 'Invalid Policy: expiration and conditions are needed.')
  if (expires_ms <= now_ms) throw refuse('Policy expired.')
  const values = new Map([...fields, ['bucket', bucket]])
  const met = new Set<string>()
  for (const condition of policy.conditions as unknown[]) {
    const terms = termsOf(condition)
    for (const [operator, name, ...given] of terms) {
      if (operator === 'content-length-range') {
        if (size < Number(name)) throw s3Fault('EntityTooSmall', undefined, { ProposedSize: String(size), MinSizeAllowed: String(name) })
        if (size > Number(given[0])) throw s3Fault('EntityTooLarge', undefined, { ProposedSize: String(size), MaxSizeAllowed: String(given[0]) })
        continue
      }
      const field = String(name).toLowerCase()
      const [value, wanted] = [values.get(field) ?? '', String(given[0])]
      met.add(field)
      // A list of types each begins as the condition says.
      const begins = field === 'content-type' ? value.split(',').every((part) => part.trim().startsWith(wanted)) : value.startsWith(wanted)
      if (!(operator === 'eq' ? value === wanted : begins)) throw refuse(`Policy Condition failed: ["${operator}", "$${field}", "${wanted}"]`)
    }
  }
  const extra = [...fields.keys()].find((name) => !FREE.test(name) && !met.has(name))
  if (extra !== undefined) throw refuse(`Extra input fields: ${extra}`)
}

function termsOf(condition: unknown): unknown[][] {
  const wrong = () => s3Fault('InvalidPolicyDocument', 'Invalid Policy: Invalid condition.')
  if (Array.isArray(condition)) {
    const [operator, name, value] = condition as unknown[]
    const kind = String(operator).toLowerCase()
    if (condition.length !== 3) throw wrong()
    if (kind === 'content-length-range') {
      if (!/^\d+$/.test(String(name)) || !/^\d+$/.test(String(value))) throw wrong()
      return [[kind, name, value]]
    }
    if ((kind !== 'eq' && kind !== 'starts-with') || typeof name !== 'string' || !name.startsWith('$') || typeof value !== 'string') throw wrong()
    return [[kind, name.slice(1), value]]
  }
  if (typeof condition !== 'object' || condition === null) throw wrong()
  return Object.entries(condition as Record<string, unknown>).map(([name, value]) => {
    if (typeof value !== 'string') throw wrong()
    return ['eq', name, value]
  })
}

// ---------------------------------------------------------------- the upload

export async function postForm(request: S3Request): Promise<Response> {
  if (!/^multipart\/form-data/i.test(request.headers.get('content-type') ?? '')) throw s3Fault('InvalidArgument', 'Bucket POST must be of the enclosure-type multipart/form-data')
  const { fields, file } = await readForm(request)
  if (file === null) throw s3Fault('MalformedPOSTRequest')
  const signer = await signerOf(request, fields)
  const asked = signer === null ? request : await request.signedAs(signer)
  const policy = fields.get('policy')
  if (policy !== undefined) checkFormPolicy(policy, fields, asked.bucketName, file.bytes.byteLength, asked.now_ms)
  const key = (fields.get('key') ?? '').replace(/\$\{filename\}/g, () => file.filename)
  if (key === '') throw s3Fault('InvalidArgument', 'Bucket POST must contain a field named \'key\'. If it is specified, please check the order of the fields.', { ArgumentName: 'key' })
  if (new TextEncoder().encode(key).byteLength > KEY_BYTES_MAX) throw s3Fault('KeyTooLongError')
  for (const [name, value] of fields) if (/^(x-amz-(acl|meta-|storage-class|website-|server-side|checksum-|object-lock)|content-|cache-control|expires)/.test(name) && name !== 'content-length') setHeader(asked.headers, name, value)
  const acl = fields.get('acl')
  if (acl !== undefined) setHeader(asked.headers, 'x-amz-acl', acl)
  if (!fields.has('content-type')) setHeader(asked.headers, 'content-type', file.type === '' ? 'binary/octet-stream' : file.type)
  asked.headers.delete('content-length')
  const bucket = await asked.authorize({ action: 's3:PutObject', level: 'object', operation: 'put' }, key)
  refuseUnknown(asked.headers)
  const seal = sealAsked(asked)
  const tagging = fields.get('tagging')
  const extra = { ...rowExtra(asked, bucket), ...(tagging === undefined ? {} : { 's3-tags': tagging.trim().startsWith('<') ? tagsOfXml(tagging) : tagsText([...new URLSearchParams(tagging)]) }) }
  if (extra['s3-tags'] !== undefined) await noteTags(asked, bucket)
  const body: Incoming = { stream: new Response(file.bytes as never).body as never, size: file.bytes.byteLength, md5: createHash('md5').update(file.bytes).digest('hex'), sha256: null, checksum: null, decoder: null }
  const stored = await storeBody(asked, { account: asked.account, container: asked.bucketName, object: key }, body, { ...describe(asked.headers), ...seal, extra })
  return finish(asked, fields, key, stored.etag, { ...versionHeaders(stored.begun), ...sealedHeaders(stored.head?.sealed) })
}

function setHeader(headers: Headers, name: string, value: string): void {
  try {
    headers.set(name, value)
  } catch {
    throw s3Fault('InvalidArgument', undefined, { ArgumentName: name })
  }
}

function finish(request: S3Request, fields: Form['fields'], key: string, etag: string, extra: Record<string, string>): Response {
  const location = `${request.ctx.origin}/${request.bucketName}/${encodeURIComponent(key)}`
  const redirect = fields.get('success_action_redirect') ?? fields.get('redirect')
  if (redirect !== undefined && /^https?:\/\//.test(redirect) && URL.canParse(redirect)) {
    const url = new URL(redirect)
    for (const [name, value] of [['bucket', request.bucketName], ['key', key], ['etag', `"${etag}"`]] as const) url.searchParams.set(name, value)
    return new Response(null, { status: 303, headers: { ...extra, location: url.href, etag: `"${etag}"` } })
  }
  const status = fields.get('success_action_status')
  if (status === '201') return new Response(document(element('PostResponse', leaf('Location', location), leaf('Bucket', request.bucketName), leaf('Key', key), leaf('ETag', `"${etag}"`)), false), { status: 201, headers: { ...extra, 'content-type': 'application/xml', etag: `"${etag}"`, location } })
  return new Response(null, { status: status === '200' ? 200 : 204, headers: { ...extra, etag: `"${etag}"`, location } })
}
