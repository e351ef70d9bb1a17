/** What federation's resources share: ids that an administrator chooses (they are parts of paths), and changes that change something. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'

export const ID_CHARS_MAX = 64

export function newId(id: string): string {
  if (id === '' || id.length > ID_CHARS_MAX || /[/?#\s]/.test(id)) throw new Fault('bad_request', `'${id.slice(0, ID_CHARS_MAX)}' cannot be an id: 1 to ${ID_CHARS_MAX} characters without blanks, '/', '?' or '#'.`)
  return id
}

/** A change has at least one attribute. */
export const something = v.check<Record<string, unknown>, string>((body) => Object.keys(body).length > 0, 'does not have enough properties')
