/** Swift's failures: an HTML page with the standard words, or the given text as it is (swift/common/swob.py). */
import { Fault, type FaultKind } from '../../schema/values/fault.ts'

const STANDARD: Record<number, { kind: FaultKind; title: string; text: string }> = {
  400: { kind: 'bad_request', title: 'Bad Request', text: 'The server could not comply with the request since it is either malformed or otherwise incorrect.' },
  401: { kind: 'unauthorized', title: 'Unauthorized', text: 'This server could not verify that you are authorized to access the document you requested.' },
  403: { kind: 'forbidden', title: 'Forbidden', text: 'Access was denied to this resource.' },
  404: { kind: 'not_found', title: 'Not Found', text: 'The resource could not be found.' },
  405: { kind: 'method_not_allowed', title: 'Method Not Allowed', text: 'The method is not allowed for this resource.' },
  406: { kind: 'not_acceptable', title: 'Not Acceptable', text: 'The resource is not available in a format acceptable to your browser.' },
  408: { kind: 'timeout', title: 'Request Timeout', text: 'The server has waited too long for the request to be sent by the client.' },
  409: { kind: 'conflict', title: 'Conflict', text: 'There was a conflict when trying to complete your request.' },
  410: { kind: 'gone', title: 'Gone', text: 'This resource is no longer available.' },
  411: { kind: 'length_required', title: 'Length Required', text: 'Content-Length header required.' },
  412: { kind: 'precondition_failed', title: 'Precondition Failed', text: 'A precondition for this request was not met.' },
  413: { kind: 'too_large', title: 'Request Entity Too Large', text: 'The body of your request was too large for this server.' },
  416: { kind: 'range_not_satisfiable', title: 'Requested Range Not Satisfiable', text: 'The Range requested is not available.' },
  422: { kind: 'unprocessable', title: 'Unprocessable Entity', text: 'Unable to process the contained instructions' },
  429: { kind: 'rate_limited', title: 'Too Many Requests', text: 'Too many requests.' },
  497: { kind: 'forbidden', title: 'Blacklisted', text: 'Your account has been blacklisted' },
  498: { kind: 'rate_limited', title: 'Rate Limited', text: 'Slow down' },
  499: { kind: 'client_closed', title: 'Client Disconnect', text: 'The client was disconnected during request.' },
  500: { kind: 'internal', title: 'Internal Error', text: 'The server has either erred or is incapable of performing the requested operation.' },
  501: { kind: 'not_implemented', title: 'Not Implemented', text: 'The requested method is not implemented by this server.' },
  503: { kind: 'unavailable', title: 'Service Unavailable', text: 'The server is currently unavailable. Please try again at a later time.' },
  507: { kind: 'insufficient_storage', title: 'Insufficient Storage', text: 'There was not enough space to save the resource.' },
}

/** A failure of this status, in Swift's standard words or with `text` as the plain body. */
export function swiftFault(status: number, text?: string, headers?: Record<string, string>): Fault {
  const standard = STANDARD[status]
  if (standard === undefined) throw new Error(`no standard failure for status ${status}`)
  return new Fault(standard.kind, text ?? standard.text, { status, details: text === undefined ? undefined : { plain: true }, ...(headers === undefined ? {} : { headers }) })
}

/** A failure that did not come from here (a host's, an object's) shows its standard words only. */
export function renderSwift(fault: Fault, status: number, isHead: boolean): Response {
  const plain = (fault.details as { plain?: boolean } | undefined)?.plain === true
  const title = STANDARD[status]?.title ?? 'Error'
  const text = plain ? fault.message : `<html><h1>${title}</h1><p>${STANDARD[status]?.text ?? ''}</p></html>`
  const headers = new Headers({ 'content-type': plain ? 'text/plain; charset=UTF-8' : 'text/html; charset=UTF-8' })
  for (const [name, value] of Object.entries(fault.headers ?? {})) headers.set(name, value)
  if (status === 401 && !headers.has('www-authenticate')) headers.set('www-authenticate', 'Swift realm="unknown"')
  return new Response(isHead ? null : text, { status, headers })
}
