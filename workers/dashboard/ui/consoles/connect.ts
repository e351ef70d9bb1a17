/** What both console pages share: the one connection that their address is good for, and signs of life on it. */
import { socketUrl } from './address.ts'

/** Quiet connections are cut by many a proxy after a minute or two. */
const SIGN_OF_LIFE_MS = 20_000
/** The cloud sends only so much ahead of a viewer that says nothing. */
const ANSWER_AFTER_BYTES = 1024 * 1024

export const element = (id: string): HTMLElement => document.getElementById(id) ?? document.body

export function say(text: string, state: 'wait' | 'up' | 'down'): void {
  const status = element('status')
  status.textContent = text
  status.dataset.state = state
}

/** Null where the address names no console. The token is used up by this: it is taken out of the address and the history. */
export function connect(): WebSocket | null {
  const url = socketUrl(location.href)
  if (url === null) {
    say('This address names no console. Open one from the server’s page.', 'down')
    return null
  }
  history.replaceState(null, '', location.pathname)
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  let unanswered = 0
  const answer = () => {
    unanswered = 0
    if (socket.readyState === WebSocket.OPEN) socket.send(new Uint8Array(0))
  }
  const timer = setInterval(answer, SIGN_OF_LIFE_MS)
  socket.addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => {
    unanswered += data.byteLength
    if (unanswered >= ANSWER_AFTER_BYTES) answer()
  })
  let opened = false
  socket.addEventListener('open', () => {
    opened = true
  })
  socket.addEventListener('close', ({ reason }) => {
    clearInterval(timer)
    say(opened ? `Disconnected: ${reason === '' ? 'the connection was lost' : reason}.` : 'Refused: an address is good for one connection, within ten minutes. Open the console again.', 'down')
  })
  return socket
}
