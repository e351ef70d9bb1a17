/** A caller's view of Identity: one getter per resource. Stores check nothing about roles (routes did); they know who acts. */
import { RpcTarget } from 'cloudflare:workers'
import type { Caller } from '../../schema/values/caller.ts'
import type { Realm } from '../../workers/identity/kernel/realm.ts'
import { Tokens } from '../../workers/identity/tokens/store.ts'

export class IdentitySession extends RpcTarget {
  #realm: Realm
  #caller: Caller
  constructor(realm: Realm, caller: Caller) {
    super()
    this.#realm = realm
    this.#caller = caller
  }

  get tokens() {
    return new Tokens(this.#realm, this.#caller)
  }
}
