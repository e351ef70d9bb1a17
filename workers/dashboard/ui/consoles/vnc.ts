/** The screen of a server: noVNC over the cloud's console proxy. */
import RFB from '@novnc/novnc'
import { connect, element, say } from './connect.ts'

const socket = connect()
if (socket !== null) {
  const screen = new RFB(element('screen'), socket, { shared: true })
  screen.scaleViewport = true
  screen.background = 'transparent'
  screen.addEventListener('connect', () => {
    say('Connected', 'up')
    screen.focus()
  })
  screen.addEventListener('desktopname', (event) => {
    const { name } = (event as CustomEvent<{ name: string }>).detail
    element('name').textContent = name
    document.title = `${name}: console`
  })
  element('ctrl-alt-del').addEventListener('click', () => {
    screen.sendCtrlAltDel()
    screen.focus()
  })
  element('full-screen').addEventListener('click', () => void element('screen').requestFullscreen().then(() => screen.focus()))
}
