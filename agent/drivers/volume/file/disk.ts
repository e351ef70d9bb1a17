/** Files that are there whole or not at all: written beside, synced, renamed, and the folder synced. */
import { constants } from 'node:fs'
import { open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Fault } from '../../../../schema/values/fault.ts'

export const errnoOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code

export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The last step of a birth: what was made at `temporary` becomes `path`. */
export async function publish(temporary: string, path: string): Promise<void> {
  await syncPath(temporary)
  await rename(temporary, path)
  await syncPath(dirname(path))
}

export async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.new`
  const handle = await open(temporary, 'w', mode)
  try {
    await handle.writeFile(text)
  } finally {
    await handle.close()
  }
  await publish(temporary, path)
}

/** Already gone is a success. */
export async function removeDurably(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  await syncPath(dirname(path))
}

/** What a full or failing disk is called outside of the drivers. */
export function diskFault(error: unknown): unknown {
  const code = String(errnoOf(error) ?? '')
  const said = `${code} ${error instanceof Error ? error.message : ''}`
  if (/ENOSPC|EDQUOT|no space left|disk quota/i.test(said)) return new Fault('insufficient_storage', 'the disk is full', { cause: error })
  if (/^(EIO|EROFS|ENODEV|ENXIO)$/.test(code) || /input\/output error|read-only file system/i.test(said)) return new Fault('unavailable', 'the disk does not work', { cause: error })
  return error
}
