/** One call of a session: what its class has is reached, nothing else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RpcTarget } from 'cloudflare:workers'
import { systemCaller } from '../../schema/values/caller.ts'
import { callOn } from './calls.ts'
import { partOn, sessionOn } from './rpc.ts'

class Servers extends RpcTarget {
  held = ['a secret of the instance']
  list(filter: string) {
    return [`${filter}-1`, this.#own()]
  }
  #own() {
    return 'own'
  }
}

class Stores extends RpcTarget {
  get servers() {
    return new Servers()
  }
  get plain() {
    return { run: () => 'no target' }
  }
}

test('a method at the end of a path is called on its store', () => {
  assert.deepEqual(callOn(new Stores(), ['servers', 'list'], ['x']), ['x-1', 'own'])
})

test('nothing that every object of JavaScript has is reached, nor fields, nor objects that are no stores', () => {
  for (const path of [[], ['servers'], ['servers', 'none'], ['constructor'], ['servers', 'constructor'], ['servers', 'list', 'call'], ['servers', 'list', 'constructor'], ['__proto__', 'servers', 'list'], ['servers', 'toString'], ['servers', 'hasOwnProperty'], ['servers', 'held'], ['servers', 'held', 'join'], ['plain', 'run'], ['then']]) {
    assert.throws(() => callOn(new Stores(), path, []), TypeError, path.join('.'))
  }
})

test('a session collects names and makes one call, as the caller; it is no promise', async () => {
  const seen: unknown[] = []
  const caller = systemCaller('req-1')
  const session = sessionOn<Stores>({ call: async (...all: unknown[]) => void seen.push(all) }, caller)
  await session.servers.list('x')
  assert.deepEqual(seen, [[caller, ['servers', 'list'], ['x']]])
  assert.equal((session as unknown as { then?: unknown }).then, undefined)
  assert.equal(await (session as unknown as Promise<unknown>), session)
})

test('a part of an object is asked by its name, in one call', async () => {
  const seen: unknown[] = []
  const part = partOn<Stores, 'stores'>({ ask: async (...all: unknown[]) => void seen.push(all) }, 'stores')
  await part.servers.list('x')
  assert.deepEqual(seen, [['stores', ['servers', 'list'], ['x']]])
})
