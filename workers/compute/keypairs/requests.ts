/** Bodies of key pairs, by microversion. */
import * as v from 'valibot'
import { shape, text, wrap } from '../common/schemas.ts'

const NAME_CLASSIC = /^(?! )[a-zA-Z0-9_\- ]+(?<! )$/
const NAME_292 = /^(?! )[a-zA-Z0-9@._\- ]+(?<! )$/

interface CreateKeypair {
  name: string
  public_key?: string
  type?: 'ssh' | 'x509'
  user_id?: string
}

export function createKeypair(minor: number) {
  const name = v.pipe(text(255, 1), v.regex(minor >= 92 ? NAME_292 : NAME_CLASSIC, 'Keypair name contains unsafe characters'))
  return wrap(
    'keypair',
    shape<CreateKeypair>(
      { name, public_key: minor >= 92 ? text(65_535) : v.optional(text(65_535)) },
      minor >= 2 && { type: v.optional(v.picklist(['ssh', 'x509'])) },
      minor >= 10 && { user_id: v.optional(text(255, 1)) },
    ),
  )
}
