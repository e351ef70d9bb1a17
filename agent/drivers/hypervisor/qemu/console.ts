/** The serial console's log. QEMU appends to it for as long as the machine lives; what is old is cut off here. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { CONSOLE_BYTES_MAX, tailLines } from '../console.ts'

const LOG_BYTES_MAX = 4 * CONSOLE_BYTES_MAX

export async function readConsole(folder: string, lines: number | null): Promise<string> {
  const file = await open(join(folder, 'console.log'), 'r+').catch((error: { code?: string }) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (!file) return ''
  try {
    const { size } = await file.stat()
    const length = Math.min(size, CONSOLE_BYTES_MAX)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    const end = buffer.subarray(0, bytesRead)
    if (size > LOG_BYTES_MAX) {
      // QEMU has the file open for appending: it goes on at the new end.
      await file.truncate(0)
      await file.write(end, 0, end.byteLength, 0)
    }
    return tailLines(end.toString('utf8').replaceAll('\r\n', '\n').replaceAll('\r', ''), lines)
  } finally {
    await file.close()
  }
}
