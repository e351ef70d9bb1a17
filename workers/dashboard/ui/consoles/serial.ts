/** The serial line of a server: xterm.js over the cloud's console proxy. */
import { Terminal } from '@xterm/xterm'
import '@xterm/xterm/css/xterm.css'
import { connect, element, say } from './connect.ts'

const socket = connect()
if (socket !== null) {
  const terminal = new Terminal({ cols: 100, rows: 32, cursorBlink: true, scrollback: 5_000, screenReaderMode: false, fontFamily: 'ui-monospace, monospace', fontSize: 14, lineHeight: 1.2 })
  terminal.open(element('screen'))
  socket.addEventListener('open', () => {
    say('Connected', 'up')
    terminal.focus()
  })
  socket.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => terminal.write(new Uint8Array(data)))
  const send = (bytes: Uint8Array<ArrayBuffer>) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(bytes)
  }
  terminal.onData((text) => send(new TextEncoder().encode(text)))
  terminal.onBinary((text) => send(Uint8Array.from(text, (char) => char.charCodeAt(0))))
}
