/** Errors of the token endpoint as RFC 6749, section 5.2 has them: no envelope, a code and a description. Pure. */
import { type Fault, faultStatus } from '../../../schema/values/fault.ts'

export type OAuth2Code = 'invalid_request' | 'invalid_client' | 'unsupported_grant_type' | 'other_error'

export interface OAuth2Error {
  status: number
  body: { error: OAuth2Code; error_description: string }
}

export const oauth2Error = (status: number, error: OAuth2Code, error_description: string): OAuth2Error => ({ status, body: { error, error_description } })

/** What an authentication refused. */
export function ofFault(fault: Fault): OAuth2Error {
  const status = faultStatus(fault)
  if (status === 401) return oauth2Error(401, 'invalid_client', fault.message)
  if (status === 400) return oauth2Error(400, 'invalid_request', fault.message)
  return oauth2Error(status, 'other_error', 'An unknown error occurred and failed to get an OAuth2.0 access token.')
}
