/** Bodies of the hosts resource. */
import { boolean, integer, maxLength, maxValue, minLength, minValue, nullable, number, object, optional, pipe, regex, strictObject, string } from 'valibot'

export const joinRequest = object({
  token: pipe(string(), minLength(1), maxLength(256)),
  public_key: pipe(string(), regex(/^[A-Za-z0-9_-]{43}$/, 'must be the base64url of a 32-byte Ed25519 public key.')),
  hostname: pipe(string(), regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, 'must be a host name.')),
})

export const joinTokenRequest = strictObject({
  uses: optional(pipe(number(), integer(), minValue(1), maxValue(10_000))),
  life_s: optional(pipe(number(), integer(), minValue(60), maxValue(30 * 86_400))),
})

export const hostUpdate = strictObject({
  disabled: optional(boolean()),
  disabled_reason: optional(nullable(pipe(string(), maxLength(255)))),
  availability_zone: optional(pipe(string(), minLength(1), maxLength(255))),
  door_url: optional(nullable(pipe(string(), maxLength(255), regex(/^https?:\/\/[^/\s?#]+$/, 'must be an origin: http://ADDRESS:PORT.')))),
})
