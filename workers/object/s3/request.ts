/** One S3 request: what it addresses, who signed it, whose bucket it is, and what it may do: the bucket's policy, roles, and access control lists. */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import { createIds } from '../../../schema/values/ids.ts'
import { systemRandom } from '../../../schema/values/random.ts'
import type { Context } from '../../http/context.ts'
import { callerNamed, parseAcl } from '../acl.ts'
import type { AccountInfo } from '../account/store.ts'
import type { ObjectRow } from '../container/rows.ts'
import { clientAddress } from '../features/tempurl.ts'
import { knownAccount, knownContainer } from '../known.ts'
import { type ObjectName, containerKey, projectOf } from '../names.ts'
import type { Access, Operation } from '../request.ts'
import { type Grant, granted } from './acl.ts'
import { type Address, addressOf, segmentsOf } from './address.ts'
import { s3Fault } from './errors.ts'
import { type Bucket, knownBucket, ownerOfName } from './known.ts'
import { type Statement, type Verdict, evaluate, parsePolicy } from './policy.ts'
import { type Signed, signerOf } from './signature.ts'

const POLICIES_KEPT = 200
const policies = new Map<string, Statement[]>()

/** What a request asks for, in the words of policies, of our own roles, and of ACLs. */
export interface Right {
  /** 's3:GetObject' */
  action: string
  level: 'account' | 'container' | 'object'
  operation: Operation
}

/** What a container's lists can let somebody do; settings, locks and the like are for the project's own, or for whom a policy names. */
const BY_LISTS = new Set([
  's3:GetObject', 's3:GetObjectVersion', 's3:GetObjectTagging', 's3:GetObjectVersionTagging', 's3:PutObject', 's3:PutObjectTagging', 's3:DeleteObject', 's3:ListBucket', 's3:ListBucketVersions', 's3:GetBucketLocation', 's3:ListMultipartUploadParts',
  's3:AbortMultipartUpload',
])

/** Signature parameters that are no headers. */
const NOT_HEADERS = /^x-amz-(algorithm|credential|date|expires|signedheaders|signature|security-token|content-sha256)$/

export class S3Request {
  readonly ctx: Context
  readonly env: Env
  readonly request: Request
  /** Those of the request, and those that a presigned URL carries in its query. */
  readonly headers: Headers
  readonly query: URLSearchParams
  readonly address: Address
  readonly signer: Signed | null
  readonly now_ms: number
  /** 'AUTH_' and the project whose bucket is asked for; the caller's own without a bucket. */
  account = ''
  /** Set while a manifest that was itself allowed is followed. */
  segments = false
  readonly #policyCtx: Context | null

  private constructor(ctx: Context, address: Address, signer: Signed | null) {
    this.ctx = ctx
    this.env = ctx.env
    this.request = ctx.request
    this.query = ctx.url.searchParams
    this.address = address
    this.signer = signer
    this.now_ms = ctx.now_ms
    this.headers = new Headers(ctx.request.headers)
    for (const [name, value] of this.query) {
      const lower = name.toLowerCase()
      if (signer?.presigned === true && lower.startsWith('x-amz-') && !NOT_HEADERS.test(lower) && !this.headers.has(lower)) this.headers.set(lower, value)
    }
    this.#policyCtx = signer === null ? null : ctx.as(signer.caller)
  }

  /** `came_ms`: when it was sent here, where it was a door that got it. */
  static async open(ctx: Context, came_ms: number = ctx.now_ms): Promise<S3Request> {
    const address = addressOf(ctx.request, ctx.env)
    const signer = await signerOf(ctx.request, ctx.env, address, ctx.requestId, ctx.now_ms, came_ms)
    const request = new S3Request(ctx, address, signer)
    await request.#resolve()
    return request
  }

  /** The same request in another's name: a form signs with its fields. */
  async signedAs(signer: Signed): Promise<S3Request> {
    const request = new S3Request(this.ctx, this.address, signer)
    await request.#resolve()
    return request
  }

  get caller(): Caller | null {
    return this.signer?.caller ?? null
  }

  get now_s(): number {
    return this.now_ms / 1000
  }

  get bucketName(): string {
    if (this.address.bucket === null) throw s3Fault('InvalidBucketName')
    return this.address.bucket
  }

  get key(): string {
    if (this.address.key === null) throw s3Fault('InvalidURI')
    return this.address.key
  }

  get name(): ObjectName {
    return { account: this.account, container: this.bucketName, object: this.key }
  }

  get owner(): string {
    return projectOf(this.account)
  }

  get ownerName(): string {
    return this.caller?.project_id === this.owner ? (this.caller.project_name ?? this.owner) : this.owner
  }

  newId(): string {
    return createIds(this.env.SIM?.random ?? systemRandom).hex()
  }

  container(bucket: string = this.bucketName) {
    return this.env.CONTAINER.getByName(containerKey(this.account, bucket))
  }

  /** The project named; else the caller's own, where it has such a bucket; else whose the name is. */
  async #resolve(): Promise<void> {
    const { bucket, project } = this.address
    const own = this.caller?.project_id == null ? null : `AUTH_${this.caller.project_id}`
    if (project !== null) this.account = `AUTH_${project}`
    else this.account = own ?? ''
    if (bucket !== null && project === null && (own === null || (await knownBucket(this.env, own, bucket, this.now_ms)) === null)) this.account = (await ownerOfName(this.env, bucket, this.now_ms)) ?? own ?? ''
    const expected = this.headers.get('x-amz-expected-bucket-owner')
    if (bucket !== null && expected !== null && expected !== this.owner) throw s3Fault('AccessDenied')
  }

  /** The bucket in its state; 404 where it is not there. */
  async bucket(name: string = this.bucketName, account: string = this.account): Promise<Bucket> {
    const found = account === '' ? null : await knownBucket(this.env, account, name, this.now_ms)
    if (found === null) throw s3Fault('NoSuchBucket', undefined, { BucketName: name })
    return found
  }

  /** What checkQuotas and manifests of Swift's side ask of a request. */
  allows(rule: string, account: string = this.account): boolean {
    return this.#policyCtx?.allows(rule, { project_id: projectOf(account) }) ?? false
  }

  accountInfo(name: string = this.account): Promise<AccountInfo | null> {
    return knownAccount(this.env, name, this.now_ms)
  }

  /** Segments of a bucket's own uploads come with their object; any other container is asked for its own rights. */
  async needIn(level: 'container' | 'object', operation: Operation, container: string, _object: string | null, account: string = this.account): Promise<Access> {
    if (account === this.account && this.address.bucket !== null && container === segmentsOf(this.address.bucket)) return 'acl'
    if (this.allows(`swift:${level}:${operation}`, account)) return 'owner'
    const info = await knownContainer(this.env, account, container, this.now_ms)
    const acl = parseAcl(info?.metadata[operation === 'get' || operation === 'head' ? 'x-container-read' : 'x-container-write'])
    if (acl.referrers.includes('*') || (this.caller !== null && callerNamed(this.caller, acl.groups))) return 'acl'
    throw s3Fault('AccessDenied')
  }

  /** 403 unless the request may. `key` null: the bucket itself. */
  async authorize(right: Right, key: string | null = this.address.key, bucketName: string = this.bucketName, account: string = this.account): Promise<Bucket> {
    const bucket = await this.bucket(bucketName, account)
    const verdict = await this.#verdict(bucket, right.action, key)
    if (verdict === 'deny') throw s3Fault('AccessDenied')
    if (verdict === 'allow' || this.allows(`swift:${right.level}:${right.operation}`, account)) return bucket
    if (BY_LISTS.has(right.action) && this.#listed(bucket, right)) return bucket
    if (key !== null && (await this.#objectGrants(bucketName, account, key, right.action))) return bucket
    throw s3Fault('AccessDenied')
  }

  /** By the container's own lists. */
  #listed({ info }: Bucket, { level, operation }: Right): boolean {
    const isRead = operation === 'get' || operation === 'head'
    const acl = parseAcl(info.metadata[isRead ? 'x-container-read' : 'x-container-write'])
    const everybody = acl.referrers.includes('*') && (!isRead || level === 'object' || acl.groups.includes('.rlistings'))
    return everybody || (this.caller !== null && callerNamed(this.caller, acl.groups))
  }

  /** By the object's own list: looked up only where nothing else has let the caller in. */
  async #objectGrants(bucket: string, account: string, key: string, action: string): Promise<boolean> {
    const wanted = action === 's3:GetObject' || action === 's3:GetObjectVersion' ? 'READ' : action === 's3:GetObjectAcl' ? 'READ_ACP' : action === 's3:PutObjectAcl' ? 'WRITE_ACP' : null
    if (wanted === null) return false
    const id = this.query.get('versionId')
    const container = this.env.CONTAINER.getByName(containerKey(account, bucket))
    const row: ObjectRow | null = id === null ? await container.object(key) : await container.version(key, id)
    const grants = row?.extra?.['s3-acl']
    return grants !== undefined && granted(JSON.parse(grants) as Grant[], this.caller, wanted)
  }

  async #verdict(bucket: Bucket, action: string, key: string | null): Promise<Verdict> {
    const text = bucket.config.policy
    if (text === undefined) return null
    let statements = policies.get(text)
    if (statements === undefined) {
      statements = parsePolicy(text, bucket.info.name)
      if (policies.size >= POLICIES_KEPT) policies.clear()
      policies.set(text, statements)
    }
    // The owner can always mend a policy that shuts everybody out.
    if (/BucketPolicy$/.test(action) && this.allows('swift:container:post', bucket.info.account)) return null
    const facts = this.#facts()
    if (key !== null && statements.some(({ conditions }) => conditions.some((one) => one.key.startsWith('s3:existingobjecttag/')))) {
      const tags = new URLSearchParams((await this.env.CONTAINER.getByName(containerKey(bucket.info.account, bucket.info.name)).object(key))?.extra?.['s3-tags'] ?? '')
      for (const [name, value] of tags) facts[`s3:existingobjecttag/${name.toLowerCase()}`] = [value]
    }
    return evaluate(statements, { caller: this.caller, action, resource: key === null ? bucket.info.name : `${bucket.info.name}/${key}`, facts })
  }

  #facts(): Record<string, string[] | undefined> {
    const { headers, query, caller } = this
    const facts: Record<string, string[] | undefined> = {}
    const set = (name: string, value: string | null | undefined) => {
      if (value !== null && value !== undefined) facts[name] = [value]
    }
    set('aws:sourceip', clientAddress(this))
    set('aws:referer', headers.get('referer'))
    set('aws:useragent', headers.get('user-agent'))
    set('aws:securetransport', String(this.ctx.url.origin.startsWith('https:') || headers.get('x-forwarded-proto') === 'https'))
    set('aws:currenttime', new Date(this.now_ms).toISOString())
    set('aws:epochtime', String(Math.floor(this.now_s)))
    set('aws:username', caller?.user_name)
    set('aws:userid', caller?.user_id)
    set('aws:principalaccount', caller?.project_id)
    set('aws:principaltype', caller === null ? 'Anonymous' : 'User')
    for (const name of ['prefix', 'delimiter', 'max-keys', 'versionId']) set(`s3:${name.toLowerCase()}`, query.get(name))
    for (const name of ['x-amz-acl', 'x-amz-copy-source', 'x-amz-metadata-directive', 'x-amz-storage-class', 'x-amz-content-sha256', 'x-amz-server-side-encryption']) set(`s3:${name}`, headers.get(name))
    set('s3:object-lock-mode', headers.get('x-amz-object-lock-mode'))
    set('s3:object-lock-legal-hold', headers.get('x-amz-object-lock-legal-hold'))
    set('s3:object-lock-retain-until-date', headers.get('x-amz-object-lock-retain-until-date'))
    if (this.signer !== null) {
      set('s3:authtype', this.signer.presigned ? 'REST-QUERY-STRING' : 'REST-HEADER')
      set('s3:signatureversion', this.signer.chunks === null ? 'AWS' : 'AWS4-HMAC-SHA256')
    }
    for (const [name, value] of new URLSearchParams(headers.get('x-amz-tagging') ?? '')) facts[`s3:requestobjecttag/${name.toLowerCase()}`] = [value]
    return facts
  }
}
