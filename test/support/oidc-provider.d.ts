/** The little of oidc-provider that the tests use; the package has no types of its own. */
declare module 'oidc-provider' {
  interface Saved {
    resourceServer?: unknown
    save(): Promise<string>
    addOIDCScope(scope: string): void
    addResourceScope(resource: string, scope: string): void
    scope?: string
  }
  type Model = new (fields: Record<string, unknown>) => Saved
  export interface TokenContext {
    body: unknown
    oidc: { params: Record<string, string>; client: { clientId: string; idTokenSignedResponseAlg: string }; provider: Provider; account?: unknown; session?: { accountId?: string; grantIdFor(id: string): string | undefined } }
  }
  export default class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>)
    callback(): (request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => void
    registerGrantType(name: string, handler: (ctx: TokenContext) => Promise<void>, params: string[]): void
    proxy: boolean
    Grant: Model & { find(id: string): Promise<Saved> }
    AccessToken: Model
    IdToken: new (claims: Record<string, unknown>, options: Record<string, unknown>) => { scope: string; set(name: string, value: unknown): void; issue(options: Record<string, unknown>): Promise<string> }
    ResourceServer: new (id: string, data: Record<string, unknown>) => unknown
  }
  export const errors: { InvalidGrant: new (why: string) => Error }
}
