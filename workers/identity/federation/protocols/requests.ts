/** Bodies of protocols, and of how one verifies OpenID Connect tokens (what upstream leaves to the web server's module). */
import * as v from 'valibot'
import { ID_CHARS_MAX, something } from '../ids.ts'

const mapping_id = v.pipe(v.string("is not of type 'string'"), v.minLength(1), v.maxLength(ID_CHARS_MAX))
const remote_id_attribute = v.pipe(v.string('must be a string'), v.maxLength(ID_CHARS_MAX))
export const protocolCreate = v.object({ protocol: v.strictObject({ mapping_id, remote_id_attribute: v.nullish(remote_id_attribute) }) })
export const protocolUpdate = v.object({ protocol: v.pipe(v.strictObject({ mapping_id: v.optional(mapping_id), remote_id_attribute: v.nullish(remote_id_attribute) }), something) })

/** Asymmetric ones only: a key that is public must never be taken for a shared secret. */
export const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const
const URL_CHARS_MAX = 1_024
const SKEW_MAX_S = 300
const text = v.pipe(v.string('must be a string'), v.minLength(1), v.maxLength(URL_CHARS_MAX))

export const oidcConfig = v.strictObject({
  /** As the provider writes it in `iss`, to the letter. */
  issuer: v.pipe(text, v.regex(/^https?:\/\/[^?#]+$/, 'must be an http or https URL without query and fragment')),
  client_id: text,
  client_secret: v.nullish(text),
  client_auth: v.optional(v.picklist(['client_secret_basic', 'client_secret_post', 'none']), 'client_secret_basic'),
  /** Accepted in `aud` of a bearer token; the client's own id where none is given. */
  audiences: v.optional(v.pipe(v.array(text), v.minLength(1), v.maxLength(32))),
  /** How a bearer token is judged: by its signature here, or by asking the provider (RFC 7662). */
  bearer: v.optional(v.picklist(['jwt', 'introspection']), 'jwt'),
  /** Whether claims are completed from the provider's userinfo. */
  userinfo: v.optional(v.boolean('must be a boolean'), false),
  algorithms: v.optional(v.pipe(v.array(v.picklist(ALGORITHMS)), v.minLength(1)), ['RS256', 'PS256', 'ES256', 'EdDSA']),
  scope: v.optional(v.pipe(text, v.regex(/(^| )openid( |$)/, "must contain 'openid'")), 'openid profile email'),
  skew_s: v.optional(v.pipe(v.number('must be a number'), v.integer(), v.minValue(0), v.maxValue(SKEW_MAX_S)), 30),
})

export const oidcBody = v.object({ oidc: oidcConfig })
export type OidcSpec = v.InferOutput<typeof oidcConfig>
