/** S3's failures: a code, its status and words, rendered as XML. What comes from below (hosts, Swift's handlers) gets the nearest code. */
import { Fault, type FaultKind, faultStatus } from '../../../schema/values/fault.ts'
import { document, element, leaf } from './markup.ts'

const CODES = {
  AccessDenied: [403, 'Access Denied'],
  AuthorizationHeaderMalformed: [400, 'The authorization header is malformed.'],
  AuthorizationQueryParametersError: [400, 'The authorization query parameters are malformed.'],
  BadDigest: [400, 'The Content-MD5 or checksum you specified did not match what we received.'],
  BucketAlreadyOwnedByYou: [409, 'Your previous request to create the named bucket succeeded and you already own it.'],
  BucketNotEmpty: [409, 'The bucket you tried to delete is not empty.'],
  ConditionalRequestConflict: [409, 'A conflicting operation occurred during the upload. Try again.'],
  EntityTooLarge: [400, 'Your proposed upload exceeds the maximum allowed size.'],
  EntityTooSmall: [400, 'Your proposed upload is smaller than the minimum allowed size.'],
  IllegalLocationConstraintException: [400, 'The location constraint is not that of the region this request was sent to.'],
  IllegalVersioningConfigurationException: [400, 'The versioning configuration specified in the request is invalid.'],
  IncompleteBody: [400, 'You did not provide the number of bytes specified by the Content-Length HTTP header.'],
  InternalError: [500, 'We encountered an internal error. Please try again.'],
  InvalidAccessKeyId: [403, 'The AWS access key id you provided does not exist in our records.'],
  InvalidArgument: [400, 'Invalid Argument'],
  InvalidBucketName: [400, 'The specified bucket is not valid.'],
  InvalidBucketState: [409, 'The request is not valid with the current state of the bucket.'],
  InvalidDigest: [400, 'The Content-MD5 or checksum value that you specified is not valid.'],
  InvalidLocationConstraint: [400, 'The specified location constraint is not valid.'],
  InvalidObjectState: [403, 'The operation is not valid for the current state of the object.'],
  InvalidPart: [400, 'One or more of the specified parts could not be found. The part might not have been uploaded, or its entity tag or checksum does not match.'],
  InvalidPartNumber: [416, 'The requested partnumber is not satisfiable'],
  InvalidPartOrder: [400, 'The list of parts was not in ascending order. Parts must be ordered by part number.'],
  InvalidPolicyDocument: [400, 'The content of the policy is not valid.'],
  InvalidRange: [416, 'The requested range is not satisfiable'],
  InvalidRequest: [400, 'Invalid Request'],
  InvalidStorageClass: [400, 'The storage class you specified is not valid.'],
  InvalidTag: [400, 'The tag provided was not a valid tag.'],
  InvalidURI: [400, 'Could not parse the specified URI.'],
  KeyTooLongError: [400, 'Your key is too long.'],
  MalformedACLError: [400, 'The XML you provided was not well-formed or did not validate against our published schema.'],
  MalformedPOSTRequest: [400, 'The body of your POST request is not well-formed multipart/form-data.'],
  MalformedPolicy: [400, 'Policies must be valid JSON and of the documented form.'],
  MalformedTrailerError: [400, 'The request contained trailing data that was not well-formed or did not conform to our published schema.'],
  MalformedXML: [400, 'The XML you provided was not well-formed or did not validate against our published schema.'],
  MaxMessageLengthExceeded: [400, 'Your request was too big.'],
  MetadataTooLarge: [400, 'Your metadata headers exceed the maximum allowed metadata size.'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource.'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header.'],
  MissingSecurityHeader: [400, 'Your request is missing a required header.'],
  NoSuchBucket: [404, 'The specified bucket does not exist.'],
  NoSuchBucketPolicy: [404, 'The bucket policy does not exist'],
  NoSuchCORSConfiguration: [404, 'The CORS configuration does not exist'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NoSuchLifecycleConfiguration: [404, 'The lifecycle configuration does not exist'],
  NoSuchObjectLockConfiguration: [404, 'The specified object does not have a ObjectLock configuration'],
  NoSuchPublicAccessBlockConfiguration: [404, 'The public access block configuration was not found'],
  NoSuchTagSet: [404, 'The TagSet does not exist'],
  NoSuchUpload: [404, 'The specified multipart upload does not exist. The upload id might be invalid, or the upload might have been aborted or completed.'],
  NoSuchVersion: [404, 'The specified version does not exist.'],
  NoSuchWebsiteConfiguration: [404, 'The specified bucket does not have a website configuration'],
  NotImplemented: [501, 'A header or query you provided implies functionality that is not implemented.'],
  ObjectLockConfigurationNotFoundError: [404, 'Object Lock configuration does not exist for this bucket'],
  OperationAborted: [409, 'A conflicting conditional operation is currently in progress against this resource. Please try again.'],
  OwnershipControlsNotFoundError: [404, 'The bucket ownership controls were not found'],
  PreconditionFailed: [412, 'At least one of the pre-conditions you specified did not hold'],
  QuotaExceeded: [403, 'Upload exceeds quota.'],
  ReplicationConfigurationNotFoundError: [404, 'The replication configuration was not found'],
  RequestTimeTooSkewed: [403, 'The difference between the request time and the current time is too large.'],
  ServerSideEncryptionConfigurationNotFoundError: [404, 'The server side encryption configuration was not found'],
  ServiceUnavailable: [503, 'Please reduce your request rate.'],
  SignatureDoesNotMatch: [403, 'The request signature we calculated does not match the signature you provided. Check your key and signing method.'],
  TooManyBuckets: [400, 'You have attempted to create more buckets than allowed.'],
  UnexpectedContent: [400, 'This request does not support content'],
  XAmzContentSHA256Mismatch: [400, "The provided 'x-amz-content-sha256' header does not match what was computed."],
} as const satisfies Record<string, readonly [number, string]>

export type S3Code = keyof typeof CODES

const KINDS: Record<number, FaultKind> = {
  400: 'bad_request', 403: 'forbidden', 404: 'not_found', 405: 'method_not_allowed', 409: 'conflict', 411: 'length_required', 412: 'precondition_failed', 416: 'range_not_satisfiable', 500: 'internal', 501: 'not_implemented', 503: 'unavailable',
}

/** `fields`: further elements of the error, such as BucketName. */
export function s3Fault(code: S3Code, message?: string, fields: Record<string, string> = {}, headers?: Record<string, string>): Fault {
  const [status, text] = CODES[code]
  return new Fault(KINDS[status] ?? 'bad_request', message ?? text, { type: code, status, details: { fields }, ...(headers === undefined ? {} : { headers }) })
}

export const hasCode = (error: unknown, code: S3Code): boolean => (error as { type?: unknown } | null)?.type === code

/** What Swift's handlers and the hosts say, in S3's words. */
const BY_STATUS: Record<number, S3Code> = {
  400: 'InvalidArgument', 401: 'AccessDenied', 403: 'AccessDenied', 404: 'NoSuchKey', 405: 'MethodNotAllowed', 408: 'IncompleteBody', 409: 'OperationAborted', 411: 'MissingContentLength', 412: 'PreconditionFailed', 413: 'EntityTooLarge',
  416: 'InvalidRange', 422: 'BadDigest', 429: 'ServiceUnavailable', 497: 'AccessDenied', 498: 'ServiceUnavailable', 499: 'IncompleteBody', 501: 'NotImplemented', 502: 'ServiceUnavailable', 503: 'ServiceUnavailable', 504: 'ServiceUnavailable', 507: 'ServiceUnavailable',
}

export interface Told {
  code: string
  status: number
  message: string
  fields: Record<string, string>
}

export function told(fault: Fault): Told {
  const known = fault.type === undefined ? undefined : CODES[fault.type as S3Code]
  if (known !== undefined) return { code: fault.type ?? '', status: fault.status ?? known[0], message: fault.message, fields: (fault.details as { fields?: Record<string, string> } | undefined)?.fields ?? {} }
  const status = faultStatus(fault)
  if (status === 413 && /quota/.test(fault.message)) return { code: 'QuotaExceeded', status: 403, message: fault.message, fields: {} }
  const code = BY_STATUS[status] ?? 'InternalError'
  return { code, status: CODES[code][0], message: CODES[code][1], fields: {} }
}

export function renderS3(fault: Fault, isHead: boolean, resource: string, requestId: string, extra: Record<string, string> = {}): Response {
  const { code, status, message, fields } = told(fault)
  const headers = new Headers({ ...extra, 'x-amz-request-id': requestId, 'x-amz-id-2': requestId })
  for (const [name, value] of Object.entries(fault.headers ?? {})) headers.set(name, value)
  if (status === 503) headers.set('retry-after', '1')
  if (isHead) return new Response(null, { status, headers })
  headers.set('content-type', 'application/xml')
  return new Response(document(element('Error', leaf('Code', code), leaf('Message', message), ...Object.entries(fields).map(([name, value]) => leaf(name, value)), leaf('Resource', resource), leaf('RequestId', requestId)), false), { status, headers })
}
