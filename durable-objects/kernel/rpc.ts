/** Types of objects seen from outside: every call is a promise, and a returned RpcTarget can be used before it arrived (pipelining). */
import type { RpcTarget } from 'cloudflare:workers'
import type { Caller } from '../../schema/values/caller.ts'

export type Remote<T> = {
  [K in keyof T as K extends symbol | 'fetch' | 'alarm' | 'env' | 'ctx' ? never : K]: T[K] extends (...args: infer A) => infer R ? (...args: A) => RemoteResult<Awaited<R>> : T[K] extends RpcTarget ? Remote<T[K]> : never
}
export type RemoteResult<R> = R extends RpcTarget ? Promise<Remote<R>> & Remote<R> : Promise<R>

export interface Namespace<T> {
  getByName(name: string): Remote<T> & { fetch(request: Request): Promise<Response> }
}

interface Callable {
  call(caller: Caller, path: string[], args: unknown[]): unknown
}

interface Askable<P> {
  ask(part: P, path: string[], args: unknown[]): unknown
}

/** Collects names until the last is called. */
function walk<T>(send: (path: string[], args: unknown[]) => unknown): Remote<T> {
  const at = (path: string[]): unknown =>
    new Proxy(() => {}, {
      // Not a promise, and nothing to let go of.
      get: (_, name) => (typeof name !== 'string' || name === 'then' ? undefined : at([...path, name])),
      apply: (_, __, args: unknown[]) => send(path, args),
    })
  return at([]) as Remote<T>
}

/**
 * A caller's session on an object, one call at a time: `session.compute.servers.get(id)` is one message to the object,
 * which admits the caller, walks to the store and answers. A session that was opened, called and let go would be three.
 */
export const sessionOn = <T>(stub: { call: unknown }, caller: Caller): Remote<T> => walk((path, args) => (stub as Callable).call(caller, path, args))

/** A part of an object for those who have no session on it (they are about to log in, or a signature is their credential): one message for each call, too. */
export const partOn = <T, P extends string>(stub: { ask: unknown }, part: P): Remote<T> => walk((path, args) => (stub as Askable<P>).ask(part, path, args))
