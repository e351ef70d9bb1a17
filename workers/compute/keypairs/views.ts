/** Key pairs on the wire, by microversion. */
import { isoMicrosNoZone } from '../../../schema/values/time.ts'
import type { Keypair } from './store.ts'

const typed = (minor: number, key: Keypair) => (minor >= 2 ? { type: key.type } : {})

export const listedKeypair = (minor: number, key: Keypair) => ({ keypair: { name: key.name, public_key: key.public_key, fingerprint: key.fingerprint, ...typed(minor, key) } })

export const createdKeypair = (minor: number, key: Keypair, privateKey: string | undefined) => ({
  keypair: { name: key.name, public_key: key.public_key, fingerprint: key.fingerprint, user_id: key.user_id, ...typed(minor, key), ...(privateKey === undefined ? {} : { private_key: privateKey }) },
})

export const shownKeypair = (minor: number, key: Keypair) => ({
  keypair: {
    id: key.seq, name: key.name, public_key: key.public_key, fingerprint: key.fingerprint, user_id: key.user_id, ...typed(minor, key),
    created_at: isoMicrosNoZone(key.created_ms), updated_at: null, deleted_at: null, deleted: false,
  },
})
