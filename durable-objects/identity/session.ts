/** A caller's view of Identity: one getter per resource. Stores check nothing about roles (routes did); they know who acts. */
import type { Caller } from '../../schema/values/caller.ts'
import { ApplicationCredentials } from '../../workers/identity/application-credentials/store.ts'
import { Assignments } from '../../workers/identity/assignments/store.ts'
import { Consumers } from '../../workers/identity/consumers/store.ts'
import { Credentials } from '../../workers/identity/credentials/store.ts'
import { DomainConfig } from '../../workers/identity/domain-config/store.ts'
import { OAuthTokens } from '../../workers/identity/oauth1/store.ts'
import { EndpointGroups } from '../../workers/identity/endpoint-filter/store.ts'
import { EndpointPolicies } from '../../workers/identity/endpoint-policy/store.ts'
import { SignedRequests } from '../../workers/identity/ec2/store.ts'
import { Endpoints } from '../../workers/identity/endpoints/store.ts'
import { IdentityProviders } from '../../workers/identity/federation/identity-providers/store.ts'
import { Mappings } from '../../workers/identity/federation/mappings/store.ts'
import { Protocols } from '../../workers/identity/federation/protocols/store.ts'
import { ServiceProviders } from '../../workers/identity/federation/service-providers/store.ts'
import { Groups } from '../../workers/identity/groups/store.ts'
import type { Realm } from '../../workers/identity/kernel/realm.ts'
import { Import } from '../../workers/identity/import/store.ts'
import { Limits, RegisteredLimits } from '../../workers/identity/limits/store.ts'
import { Policies } from '../../workers/identity/policies/store.ts'
import { Projects } from '../../workers/identity/projects/store.ts'
import { Regions } from '../../workers/identity/regions/store.ts'
import { RevocationEvents } from '../../workers/identity/revocations/store.ts'
import { Roles } from '../../workers/identity/roles/store.ts'
import { Services } from '../../workers/identity/services/store.ts'
import { Tokens } from '../../workers/identity/tokens/store.ts'
import { Trusts } from '../../workers/identity/trusts/store.ts'
import { Users } from '../../workers/identity/users/store.ts'
import { RpcTarget } from 'cloudflare:workers'

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

  get endpointPolicies() {
    return new EndpointPolicies(this.#realm, this.#caller)
  }

  get revocations() {
    return new RevocationEvents(this.#realm, this.#caller)
  }

  get consumers() {
    return new Consumers(this.#realm, this.#caller)
  }

  get oauthTokens() {
    return new OAuthTokens(this.#realm, this.#caller)
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

  get credentials() {
    return new Credentials(this.#realm, this.#caller)
  }

  get imports() {
    return new Import(this.#realm, this.#caller)
  }

  get signedRequests() {
    return new SignedRequests(this.#realm)
  }

  get applicationCredentials() {
    return new ApplicationCredentials(this.#realm, this.#caller)
  }

  get trusts() {
    return new Trusts(this.#realm, this.#caller)
  }

  get domainConfig() {
    return new DomainConfig(this.#realm, this.#caller)
  }

  get identityProviders() {
    return new IdentityProviders(this.#realm, this.#caller)
  }

  get protocols() {
    return new Protocols(this.#realm, this.#caller)
  }

  get mappings() {
    return new Mappings(this.#realm, this.#caller)
  }

  get serviceProviders() {
    return new ServiceProviders(this.#realm, this.#caller)
  }

  get limits() {
    return new Limits(this.#realm, this.#caller)
  }

  get registeredLimits() {
    return new RegisteredLimits(this.#realm, this.#caller)
  }
}
