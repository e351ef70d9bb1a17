/** For tests of what a crash leaves: a driver on a disk in memory whose calls end at some point. */
import type { ObjectDriver } from '../driver.ts'
import type { MemoryFs } from '../memory-fs.ts'
import type { ObjectFs } from './fs.ts'
import { createXfsObjectDriver } from './index.ts'

let ids = 0
export const driverOn = (fs: ObjectFs): ObjectDriver => createXfsObjectDriver({ devices_dir: '/dev', fs, ids: { hex: () => `id${ids++}` } })

/** Works for `calls` calls, then never again: as a process that died. The last call may have had its effect, or not. */
export function dying(fs: MemoryFs, calls: number, effect: boolean): { fs: ObjectFs; died: () => boolean } {
  let left = calls
  const proxy = new Proxy(fs, {
    get: (target, name) => {
      const method = Reflect.get(target, name, target) as (...rest: unknown[]) => Promise<unknown>
      return async (...rest: unknown[]) => {
        left--
        if (left > 0) return method.apply(target, rest)
        if (left === 0 && effect) await method.apply(target, rest)
        throw new Error('died')
      }
    },
  })
  return { fs: proxy as unknown as ObjectFs, died: () => left <= 0 }
}
