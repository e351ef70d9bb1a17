/** Extended attributes, which Node lacks, by calls into libc. Synchronous: one costs about 0.1 ms. Where the foreign-function module does not load, objects keep their metadata at their end. */
import { constants } from 'node:os'
import koffi from 'koffi'

export interface Xattr {
  set(fd: number, name: string, value: Uint8Array): void
  /** Null where there is none. */
  get(fd: number, name: string): Uint8Array | null
}

/** Linux' own limit for one value, XFS' too. */
export const XATTR_BYTES_MAX = 64 * 1024

/** Not among Node's constants: "no such attribute". */
const ENODATA = 61

export function loadXattr(): Xattr | null {
  try {
    return bind()
  } catch {
    return null
  }
}

function bind(): Xattr {
  // The process itself has libc loaded: no need to know whose it is.
  const libc = koffi.load(null)
  const fsetxattr = libc.func('int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)')
  const fgetxattr = libc.func('intptr_t fgetxattr(int fd, const char *name, void *value, size_t size)')
  const buffer = Buffer.alloc(XATTR_BYTES_MAX)
  const failed = (call: string): Error => {
    const errno = koffi.errno()
    const code = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `E${errno}`
    return Object.assign(new Error(`${call}: ${code}`), { code, errno })
  }
  return {
    set(fd, name, value) {
      if (fsetxattr(fd, name, value, value.length, 0) !== 0) throw failed('fsetxattr')
    },
    get(fd, name) {
      const length = Number(fgetxattr(fd, name, buffer, buffer.length))
      if (length >= 0) return Uint8Array.prototype.slice.call(buffer, 0, length)
      if (koffi.errno() === ENODATA) return null
      throw failed('fgetxattr')
    },
  }
}
