/** Other doors that call for replicas: each signs with its host's key, which the plane has told. Known without the plane too. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { Fault } from '../../schema/values/fault.ts'
import type { Presence } from './presence.ts'

/** How far a signature's time may be from ours. */
export const PEER_SKEW_MS = 5 * 60_000

const refused = (why: string) => new Fault('unauthorized', `The door's signature was refused: ${why}.`)

export class Peers {
  #presence: Presence
  #keys = new Map<string, KeyObject>()

  constructor(presence: Presence) {
    this.#presence = presence
  }

  /** The host that signed; Fault unauthorized otherwise. */
  check(method: string, path: string, authorization: string): string {
    const match = /^Skyhook-Host ([0-9a-f-]{36}):(\d{1,16}):([A-Za-z0-9_-]{86})$/.exec(authorization)
    if (match === null) throw refused('it is missing or malformed')
    const [, id = '', timestamp = '', signature = ''] = match
    if (Math.abs(Number(timestamp) - this.#presence.now_ms()) > PEER_SKEW_MS) throw refused('its time is too far off')
    const host = this.#presence.host(id)
    if (host === null || host.door_url === null) throw refused('the host is no door')
    if (!verify(null, Buffer.from(`${method}\n${path}\n${timestamp}`), this.#key(host.public_key), Buffer.from(signature, 'base64url'))) throw refused('it does not hold')
    return id
  }

  #key(x: string): KeyObject {
    const known = this.#keys.get(x) ?? createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    this.#keys.set(x, known)
    return known
  }
}
