/** Types of objects seen from outside: every call is a promise, and a returned RpcTarget can be used before it arrived (pipelining). */
import type { RpcTarget } from 'cloudflare:workers'

export type Remote<T> = {
  [K in keyof T as K extends symbol | 'fetch' | 'alarm' | 'env' | 'ctx' ? never : K]: T[K] extends (...args: infer A) => infer R ? (...args: A) => RemoteResult<Awaited<R>> : T[K] extends RpcTarget ? Remote<T[K]> : never
}
export type RemoteResult<R> = R extends RpcTarget ? Promise<Remote<R>> & Remote<R> : Promise<R>

export interface Namespace<T> {
  getByName(name: string): Remote<T> & { fetch(request: Request): Promise<Response> }
}
