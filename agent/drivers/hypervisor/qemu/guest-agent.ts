/** The guest's own agent, where it runs one: asked for what only the guest can do. A guest is not trusted: answers are bounded in time and size. */
import { Fault } from '../../../../schema/values/fault.ts'
import type { Timers } from '../../../timers.ts'
import { connectIn } from './qmp.ts'

/** Tells this talk's answer from what an earlier one left in the channel. */
let nextNonce = 1
const ANSWER_BYTES_MAX = 256 * 1024

/** Null where no agent answers in time. */
export async function askGuest<T>(folder: string, timers: Timers, command: string, args: Record<string, unknown>, options: { sync_ms: number; answer_ms: number; answers?: boolean }): Promise<{ value: T } | null> {
  const socket = await connectIn(folder, 'agent.sock').catch(() => null)
  if (!socket) return null
  let text = ''
  let wake = () => {}
  let closed = false
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    if (text.length > ANSWER_BYTES_MAX) socket.destroy()
    wake()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
    wake()
  })
  const answer = async (test: (message: { return?: unknown; error?: { desc: string } }) => boolean, within_ms: number) => {
    let late = false
    const cancel = timers.after(within_ms, () => {
      late = true
      wake()
    })
    try {
      for (;;) {
        const end = text.indexOf('\n')
        if (end >= 0) {
          const line = text.slice(0, end).replaceAll('\xff', '')
          text = text.slice(end + 1)
          try {
            const message = JSON.parse(line) as { return?: unknown; error?: { desc: string } }
            if (test(message)) return message
          } catch {
            // Leftovers of an earlier talk.
          }
        } else if (late || closed) return null
        else await new Promise<void>((resolve) => { wake = resolve })
      }
    } finally {
      cancel()
    }
  }
  try {
    const nonce = nextNonce++
    socket.write(`\xff${JSON.stringify({ execute: 'guest-sync', arguments: { id: nonce } })}\n`, 'latin1')
    if (!(await answer((message) => message.return === nonce, options.sync_ms))) return null
    socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`)
    // A shutdown is carried out, not answered.
    if (options.answers === false) return { value: undefined as T }
    const result = await answer(() => true, options.answer_ms)
    if (!result) return null
    if (result.error) throw new Fault('conflict', `the guest's agent refused: ${result.error.desc}`)
    return { value: result.return as T }
  } finally {
    socket.destroy()
  }
}
