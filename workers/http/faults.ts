/** Fault -> body, one renderer per dialect. An unknown error is 500 and says nothing but its request id; the log has the rest. */
import { type Fault, FAULT_STATUS, type FaultKind, faultStatus } from '../../schema/values/fault.ts'
import type { Dialect } from './service.ts'

const NOVA_NAMES: Partial<Record<number, string>> = {
  400: 'badRequest', 401: 'unauthorized', 403: 'forbidden', 404: 'itemNotFound', 405: 'badMethod', 406: 'notAcceptable', 409: 'conflictingRequest', 413: 'overLimit', 415: 'badMediaType',
  422: 'unprocessableEntity', 429: 'overLimit', 501: 'notImplemented', 503: 'serviceUnavailable',
}
const TITLES: Partial<Record<number, string>> = {
  400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 406: 'Not Acceptable', 408: 'Request Timeout', 409: 'Conflict', 410: 'Gone', 411: 'Length Required',
  412: 'Precondition Failed', 413: 'Request Entity Too Large', 415: 'Unsupported Media Type', 416: 'Requested Range Not Satisfiable', 422: 'Unprocessable Entity', 429: 'Too Many Requests',
  499: 'Client Disconnect', 500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable', 507: 'Insufficient Storage',
}
const NEUTRON_TYPES: Partial<Record<number, string>> = { 400: 'HTTPBadRequest', 401: 'HTTPUnauthorized', 403: 'PolicyNotAuthorized', 404: 'HTTPNotFound', 409: 'Conflict', 500: 'HTTPInternalServerError' }
/** Where a dialect answers a kind with another status than the rest. */
const STATUS_BY_DIALECT: Partial<Record<Dialect, Partial<Record<FaultKind, number>>>> = {
  nova: { over_quota: 403 }, cinder: { over_quota: 413 }, neutron: { over_quota: 409 }, glance: { over_quota: 413 }, keystone: { over_quota: 403 }, swift: { over_quota: 413 },
}

/** What the kernel itself refuses before S3's handlers see it. */
const S3_CODES: Partial<Record<number, string>> = { 404: 'NoSuchKey', 405: 'MethodNotAllowed', 413: 'EntityTooLarge', 500: 'InternalError', 503: 'ServiceUnavailable' }

export const titleOf = (status: number): string => TITLES[status] ?? 'Error'

export function statusIn(dialect: Dialect, fault: Fault): number {
  return fault.status ?? STATUS_BY_DIALECT[dialect]?.[fault.kind] ?? FAULT_STATUS[fault.kind] ?? faultStatus(fault)
}

const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char] ?? char)

/** How policyFault says it, which Keystone's clients know in other words. */
const REFUSED = /^Policy doesn't allow (.+) to be performed\.$/s

function bodyOf(dialect: Dialect, status: number, fault: Fault, requestId: string): unknown {
  const title = titleOf(status)
  switch (dialect) {
    case 'keystone':
      return { error: { code: status, message: fault.message.replace(REFUSED, 'You are not authorized to perform the requested action: $1.'), title } }
    case 'nova':
    case 'cinder': {
      if (status === 401) return { error: { code: 401, message: fault.message, title } }
      const name = NOVA_NAMES[status] ?? 'computeFault'
      return { [name]: { code: status, message: fault.message, ...(fault.headers?.['retry-after'] === undefined ? {} : { retryAfter: fault.headers['retry-after'] }), ...((fault.details as object | undefined) ?? {}) } }
    }
    case 'placement':
      return { errors: [{ status, title, detail: `${fault.message}\n\n `, request_id: requestId, ...(fault.type === undefined ? {} : { code: fault.type }) }] }
    case 'neutron':
      return { NeutronError: { type: fault.type ?? NEUTRON_TYPES[status] ?? title.replace(/ /g, ''), message: fault.message, detail: '' } }
    case 'glance':
      return { message: `${escapeHtml(fault.message)}<br /><br />\n\n\n`, code: `${status} ${title}`, title }
    case 's3':
      return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${S3_CODES[status] ?? 'InternalError'}</Code><Message>${escapeHtml(fault.message)}</Message><RequestId>${requestId}</RequestId></Error>`
    case 'swift':
      return `<html><h1>${title}</h1><p>${escapeHtml(fault.message)}</p></html>`
    case 'plain':
      return { error: { code: status, kind: fault.kind, message: fault.message, request_id: requestId, ...(fault.details === undefined ? {} : { details: fault.details }) } }
    default:
      return dialect satisfies never
  }
}

export function renderFault(dialect: Dialect, fault: Fault, request: Request, requestId: string, extraHeaders: Record<string, string> = {}): Response {
  const status = statusIn(dialect, fault)
  const body = request.method === 'HEAD' ? null : bodyOf(dialect, status, fault, requestId)
  const headers = new Headers({ 'content-type': dialect === 'swift' ? 'text/html; charset=UTF-8' : dialect === 's3' ? 'application/xml' : 'application/json', ...extraHeaders })
  for (const [name, value] of Object.entries(fault.headers ?? {})) headers.set(name, value)
  if (status === 401) headers.set('www-authenticate', dialect === 'swift' ? 'Swift realm="unknown", Keystone' : `Keystone uri="${new URL(request.url).origin}/identity${dialect === 'keystone' ? '/v3' : ''}"`)
  return new Response(body === null ? null : typeof body === 'string' ? body : JSON.stringify(body), { status, headers })
}
