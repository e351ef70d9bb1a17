/** In an object: a call of a session, found by the names on its path (`sessionOn` of rpc.ts makes it). */
import { RpcTarget } from 'cloudflare:workers'

/** What a session has is named by its class: nothing that JavaScript gives every object can be reached. */
function ownedBy(target: object, name: string): boolean {
  if (name === 'constructor') return false
  for (let proto = Object.getPrototypeOf(target); proto !== null && proto !== RpcTarget.prototype && proto !== Object.prototype; proto = Object.getPrototypeOf(proto)) if (Object.hasOwn(proto, name)) return true
  return false
}

/** In the object: the method at the end of `path`, called. */
export function callOn(session: RpcTarget, path: string[], args: unknown[]): unknown {
  let at: unknown = session
  for (const [i, name] of path.entries()) {
    if (!(at instanceof RpcTarget) || !ownedBy(at, name)) throw new TypeError(`a session has no ${path.slice(0, i + 1).join('.')}`)
    const next: unknown = (at as unknown as Record<string, unknown>)[name]
    if (i < path.length - 1) {
      at = next
      continue
    }
    if (typeof next !== 'function') break
    return (next as (...args: unknown[]) => unknown).apply(at, args)
  }
  throw new TypeError(`a session has no method ${path.join('.')}`)
}
