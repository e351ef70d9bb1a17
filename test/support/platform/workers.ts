/** `cloudflare:workers` for Node: the base classes only. Names say it: the platform is simulated here, the object code is the real one. */
export class RpcTarget {}

export class DurableObject {
  ctx: unknown
  env: unknown
  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx
    this.env = env
  }
}
