/** Bodies of key pairs, by microversion. */
import * as v from 'valibot'
import { text, wrap } from '../common/schemas.ts'

const NAME_CLASSIC = /^(?! )[a-zA-Z0-9_\- ]+(?<! )$/
const NAME_292 = /^(?! )[a-zA-Z0-9@._\- ]+(?<! )$/

export function createKeypair(minor: number) {
  const keyName = v.pipe(text(255, 1), v.regex(minor >= 92 ? NAME_292 : NAME_CLASSIC, 'Keypair name contains unsafe characters'))
  const publicKey = text(65_535)
  return wrap(
    'keypair',
    v.strictObject({
      name: keyName,
      public_key: (minor >= 92 ? publicKey : v.optional(publicKey)) as v.OptionalSchema<typeof publicKey, undefined>,
      ...(minor >= 2 ? { type: v.optional(v.picklist(['ssh', 'x509'])) } : {}),
      ...(minor >= 10 ? { user_id: v.optional(text(255, 1)) } : {}),
    } as { name: typeof keyName; public_key: v.OptionalSchema<typeof publicKey, undefined>; type: v.OptionalSchema<v.PicklistSchema<['ssh', 'x509'], undefined>, undefined>; user_id: v.OptionalSchema<v.StringSchema<undefined>, undefined> }),
  )
}
