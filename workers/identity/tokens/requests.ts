/** Body of POST /v3/auth/tokens (keystone/auth/schema.py). */
import * as v from 'valibot'
import { PASSWORD_CHARS_MAX } from '../passwords/hash.ts'

const domain = v.union([v.looseObject({ id: v.pipe(v.string(), v.minLength(1)) }), v.looseObject({ name: v.pipe(v.string(), v.minLength(1)) })])
const named = v.looseObject({ id: v.optional(v.string()), name: v.optional(v.string()), domain: v.optional(domain) })
const userRef = v.pipe(
  v.looseObject({ id: v.optional(v.string()), name: v.optional(v.string()), domain: v.optional(domain), password: v.optional(v.string()), passcode: v.optional(v.string()) }),
  v.check((user) => user.id !== undefined || (user.name !== undefined && user.domain !== undefined), 'Expecting to find id, or name and domain, in user.'),
)
export const AUTH_METHODS_MAX = 8
/** What anybody may send who has no token yet; upstream takes as much (oslo.middleware's sizelimit). */
export const AUTH_BODY_BYTES_MAX = 114_688

export const authRequest = v.object({
  auth: v.looseObject({
    identity: v.looseObject({
      methods: v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(AUTH_METHODS_MAX)),
      password: v.optional(v.looseObject({ user: userRef })),
      totp: v.optional(v.looseObject({ user: userRef })),
      token: v.optional(v.looseObject({ id: v.string() })),
      application_credential: v.optional(v.looseObject({ id: v.optional(v.string()), name: v.optional(v.string()), secret: v.pipe(v.string(), v.maxLength(PASSWORD_CHARS_MAX)), user: v.optional(named) })),
    }),
    scope: v.optional(
      v.union([
        v.literal('unscoped'),
        v.looseObject({
          project: v.optional(v.pipe(named, v.check((project) => project.id !== undefined || (project.name !== undefined && project.domain !== undefined), 'Expecting to find id, or name and domain, in project.'))),
          domain: v.optional(domain), system: v.optional(v.looseObject({ all: v.optional(v.boolean()) })), 'OS-TRUST:trust': v.optional(v.looseObject({ id: v.string() })),
        }),
      ]),
    ),
  }),
})

export type AuthRequest = v.InferOutput<typeof authRequest>['auth']
