/** A caller's view of Identity: one getter per resource. Stores check nothing about roles (routes did); they know who acts. */
import { RpcTarget } from 'cloudflare:workers'
import type { Caller } from '../../schema/values/caller.ts'
import { Consumers } from '../../workers/identity/consumers/store.ts'
import { EndpointGroups } from '../../workers/identity/endpoint-filter/store.ts'
import { Endpoints } from '../../workers/identity/endpoints/store.ts'
import { Policies } from '../../workers/identity/policies/store.ts'
import { Regions } from '../../workers/identity/regions/store.ts'
import { Services } from '../../workers/identity/services/store.ts'
import { Assignments } from '../../workers/identity/assignments/store.ts'
import { Groups } from '../../workers/identity/groups/store.ts'
import { Projects } from '../../workers/identity/projects/store.ts'
import { Roles } from '../../workers/identity/roles/store.ts'
import { Users } from '../../workers/identity/users/store.ts'
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

  get regions() {
    return new Regions(this.#realm, this.#caller)
  }

  get services() {
    return new Services(this.#realm, this.#caller)
  }

  get endpoints() {
    return new Endpoints(this.#realm, this.#caller)
  }

  get policies() {
    return new Policies(this.#realm, this.#caller)
  }

  get consumers() {
    return new Consumers(this.#realm, this.#caller)
  }

  get endpointGroups() {
    return new EndpointGroups(this.#realm, this.#caller)
  }

  get projects() {
    return new Projects(this.#realm, this.#caller)
  }

  get users() {
    return new Users(this.#realm, this.#caller)
  }

  get groups() {
    return new Groups(this.#realm, this.#caller)
  }

  get roles() {
    return new Roles(this.#realm, this.#caller)
  }

  get assignments() {
    return new Assignments(this.#realm, this.#caller)
  }
}
