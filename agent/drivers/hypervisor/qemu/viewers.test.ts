import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isFault } from '../../../../schema/values/fault.ts'
import { SERIAL_PENDING_BYTES_MAX, Viewers } from './viewers.ts'

/** QEMU's side: both sockets of a machine, and who is connected to them. */
let folder = ''
const servers: Server[] = []
const came: Record<string, Socket[]> = { 'vnc.sock': [], 'serial.sock': [] }
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'viewers-'))
  for (const [name, sockets] of Object.entries(came)) {
    const server = createServer((socket) => sockets.push(socket.on('error', () => {})))
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(join(folder, name), resolve))
  }
})
after(() => {
  for (const server of servers) server.close()
  for (const socket of Object.values(came).flat()) socket.destroy()
  rmSync(folder, { recursive: true })
})

async function latest(name: string): Promise<Socket> {
  for (;;) {
    const socket = came[name]?.pop()
    if (socket) return socket
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** True once all is out of this process. */
const flood = (socket: Socket, bytes: number, patience_ms: number) => new Promise<boolean>((resolve) => {
  const late = setTimeout(() => resolve(false), patience_ms)
  socket.write(Buffer.alloc(bytes, 'x'), () => {
    clearTimeout(late)
    resolve(true)
  })
})

test('a serial line whose viewer reads nothing never stops the guest; the viewer is told what it missed', async () => {
  const channel = await new Viewers().open(folder, 's', 'serial')
  const guest = await latest('serial.sock')
  assert.equal(await flood(guest, 16 * 1024 * 1024, 30_000), true)
  guest.end('the end')
  let text = ''
  for await (const chunk of channel.output) text += Buffer.from(chunk).toString('latin1')
  assert.match(text, /^\r\n\[\d+ bytes left out\]\r\nx.*xthe end$/s)
  // What was on its way when the viewer began to read comes too.
  assert.ok(text.length <= 3 * SERIAL_PENDING_BYTES_MAX, `${text.length}`)
})

test('a screen whose viewer reads nothing holds QEMU up, which knows what to do', async () => {
  const channel = await new Viewers().open(folder, 's', 'vnc')
  assert.equal(await flood(await latest('vnc.sock'), 16 * 1024 * 1024, 300), false)
  channel.close()
})

test('the newest viewer of a serial line sends the one before away; what is typed arrives; closing is heard by the machine', async () => {
  const viewers = new Viewers()
  const [first, second] = [await viewers.open(folder, 's', 'serial'), await viewers.open(folder, 's', 'serial')]
  for await (const _ of first.output) assert.fail('nothing was said')
  const guest = await latest('serial.sock')
  await second.write(Buffer.from('ls\r'))
  assert.equal(String(await new Promise((resolve) => guest.once('data', resolve))), 'ls\r')
  const closed = new Promise((resolve) => guest.once('close', resolve))
  second.close()
  guest.resume()
  await closed
})

test('a machine whose socket is gone has no console', async () => {
  await assert.rejects(new Viewers().open(join(folder, '..'), 's', 'serial'), (error) => isFault(error, 'conflict'))
})
