/**
 * The one way to fail. Code throws a Fault; one renderer per API dialect (workers/http/faults.ts) turns it into
 * the service's own body. It crosses object RPC with its fields by `enhanced_error_serialization`, never with its class,
 * so test for it with `isFault`, not `instanceof`.
 */
export type FaultKind =
  | 'bad_request' | 'unauthorized' | 'forbidden' | 'not_found' | 'method_not_allowed' | 'not_acceptable' | 'timeout'
  | 'conflict' | 'gone' | 'length_required' | 'precondition_failed' | 'too_large' | 'unsupported_media' | 'range_not_satisfiable'
  | 'unprocessable' | 'over_quota' | 'rate_limited' | 'client_closed' | 'internal' | 'not_implemented' | 'bad_gateway' | 'unavailable' | 'insufficient_storage'

/** HTTP status of each kind, unless a dialect says otherwise (over_quota is 403 in Nova, 413 in Cinder, 409 in Neutron). */
export const FAULT_STATUS: Record<FaultKind, number> = {
  bad_request: 400, unauthorized: 401, forbidden: 403, not_found: 404, method_not_allowed: 405, not_acceptable: 406, timeout: 408,
  conflict: 409, gone: 410, length_required: 411, precondition_failed: 412, too_large: 413, unsupported_media: 415, range_not_satisfiable: 416,
  unprocessable: 422, over_quota: 403, rate_limited: 429, client_closed: 499, internal: 500, not_implemented: 501, bad_gateway: 502, unavailable: 503,
  insufficient_storage: 507,
}

export interface FaultExtra {
  /** Upstream's error class where clients parse it: 'OverQuota', 'IpAddressInUse', 'computeFault'... */
  type?: string
  /** Overrides the kind's status where upstream answers another one. */
  status?: number
  /** Extra response headers, lower case. */
  headers?: Record<string, string>
  /** Anything the dialect's renderer may show: the scheduling funnel, the field at fault. Must survive structured clone. */
  details?: unknown
  cause?: unknown
}

export class Fault extends Error {
  kind: FaultKind
  type?: string
  status?: number
  headers?: Record<string, string>
  details?: unknown
  constructor(kind: FaultKind, message: string, extra: FaultExtra = {}) {
    super(message, extra.cause === undefined ? undefined : { cause: extra.cause })
    this.name = 'Fault'
    this.kind = kind
    if (extra.type !== undefined) this.type = extra.type
    if (extra.status !== undefined) this.status = extra.status
    if (extra.headers !== undefined) this.headers = extra.headers
    if (extra.details !== undefined) this.details = extra.details
  }
}

export function isFault(error: unknown, kind?: FaultKind): error is Fault {
  if (typeof error !== 'object' || error === null) return false
  const fault = error as { name?: unknown; kind?: unknown }
  return fault.name === 'Fault' && typeof fault.kind === 'string' && fault.kind in FAULT_STATUS && (kind === undefined || fault.kind === kind)
}

export const faultStatus = (fault: Fault): number => fault.status ?? FAULT_STATUS[fault.kind]
