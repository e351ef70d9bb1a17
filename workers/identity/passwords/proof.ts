/**
 * A password and the hash that it is held against, as one line: what a login asks the hashing service in a header, for a request without a body costs either side
 * less. HASH|PASSWORD, the password percent-encoded (its UTF-8), so that any text survives. Pure.
 */
export interface PasswordProof {
  password: string
  hash: string
}

export const PROOF_HEADER = 'x-skyhook-proof'

/** What is no text in UTF-8 is replaced, as it is where a password is hashed. */
export const writeProof = ({ password, hash }: PasswordProof): string => `${hash}|${encodeURIComponent(password.toWellFormed())}`

/** Null where it is none. */
export function readProof(text: string): PasswordProof | null {
  const at = text.lastIndexOf('|')
  if (at === -1) return null
  try {
    return { password: decodeURIComponent(text.slice(at + 1)), hash: text.slice(0, at) }
  } catch {
    return null
  }
}
