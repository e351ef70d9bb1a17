/** Errors between hosts and the plane: a Fault as plain data, and back. */
import { FAULT_STATUS, Fault, type FaultKind, isFault } from '../values/fault.ts'
import type { WireError } from './protocol.ts'

export const wireError = (error: unknown): WireError =>
  isFault(error) ? { kind: error.kind, message: error.message, ...(error.details === undefined ? {} : { details: error.details }) } : { kind: 'internal', message: error instanceof Error ? error.message : String(error) }

export const faultOf = (error: WireError): Fault => new Fault(error.kind in FAULT_STATUS ? (error.kind as FaultKind) : 'unavailable', error.message, { details: (error as { details?: unknown }).details })
