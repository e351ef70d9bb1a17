/** What went wrong, in the API's own words, with the number to quote; or what was done. */
import { ApiError } from '../api/errors.ts'

export function Problem({ error }: { error: Error | null }) {
  if (error === null) return null
  const requestId = error instanceof ApiError ? error.requestId : null
  return (
    <div class="notice problem" role="alert">
      <p>{error.message}</p>
      {requestId !== null && <p class="request-id">Request <code>{requestId}</code></p>}
    </div>
  )
}

export const Done = ({ text }: { text: string }) => (text === '' ? null : <p class="notice done" role="status">{text}</p>)
