/** A headless Chromium, driven over the DevTools protocol as a person would: by labels, buttons and keys. Notes every error and every refusal of the content policy. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WebSocket } from 'ws'

// biome-ignore lint/suspicious/noExplicitAny: the protocol's messages are what the test looks at.
type Json = any
type Wait = { resolve(value: Json): void; reject(error: Error): void }

const PROGRAM = 'chromium'
const START_TIMEOUT_MS = 90_000
export const browserMissing = (): string | false => spawnSync('sh', ['-c', `command -v ${PROGRAM}`]).status === 0 ? false : `missing: ${PROGRAM}`

export class Browser {
  readonly pages = new Map<string, Page>()
  #child: ChildProcess
  #socket: WebSocket
  #folder: string
  #next = 1
  #waiting = new Map<number, Wait>()

  private constructor(child: ChildProcess, socket: WebSocket, folder: string) {
    this.#child = child
    this.#socket = socket
    this.#folder = folder
    socket.on('message', (data) => this.#receive(JSON.parse(String(data))))
  }

  static async start(): Promise<Browser> {
    const folder = mkdtempSync(join(tmpdir(), 'browser-'))
    const child = spawn(PROGRAM, ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--no-first-run', '--remote-debugging-port=0', `--user-data-dir=${folder}`, '--window-size=1280,900', 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] })
    const url = await new Promise<string>((resolve, reject) => {
      let text = ''
      child.stderr?.on('data', (chunk) => {
        text += chunk
        const found = /DevTools listening on (ws:\S+)/.exec(text)
        if (found) resolve(found[1] ?? '')
      })
      child.on('exit', () => reject(new Error(`chromium ended: ${text.slice(-500)}`)))
      setTimeout(() => reject(new Error(`chromium did not start: ${text.slice(-500)}`)), START_TIMEOUT_MS).unref()
    })
    const socket = new WebSocket(url, { maxPayload: 64 * 1024 * 1024 })
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
    const browser = new Browser(child, socket, folder)
    await browser.call('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: true, flatten: true })
    await browser.call('Target.setDiscoverTargets', { discover: true })
    return browser
  }

  call(method: string, params: object = {}, sessionId?: string): Promise<Json> {
    const id = this.#next++
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }))
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  async open(url: string): Promise<Page> {
    const { targetId } = await this.call('Target.createTarget', { url })
    return await this.page((page) => page.targetId === targetId)
  }

  /** A page that is there, or comes to be: a window that another opened. */
  async page(test: (page: Page) => boolean, limit_ms = 20_000): Promise<Page> {
    for (let waited = 0; waited < limit_ms; waited += 50) {
      const found = [...this.pages.values()].find(test)
      if (found) return found
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error(`no such page among ${[...this.pages.values()].map((page) => page.url).join(' ')}`)
  }

  #receive(message: Json): void {
    if (message.id !== undefined) {
      const wait = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      if (message.error) wait?.reject(new Error(message.error.message))
      else wait?.resolve(message.result)
    } else if (message.method === 'Target.attachedToTarget') {
      const { sessionId, targetInfo } = message.params
      const set = (...calls: [string, object?][]) => Promise.all(calls.map(([method, params]) => this.call(method, params, sessionId))).catch(() => {})
      if (targetInfo.type === 'page') {
        this.pages.set(sessionId, new Page(this, sessionId, targetInfo.targetId, targetInfo.url))
        void set(['Runtime.enable'], ['Page.enable'], ['Log.enable'], ['Runtime.runIfWaitingForDebugger'])
      } else void set(['Runtime.runIfWaitingForDebugger'])
    } else if (message.method === 'Target.targetInfoChanged') {
      for (const page of this.pages.values()) if (page.targetId === message.params.targetInfo.targetId) page.url = message.params.targetInfo.url
    } else if (message.sessionId !== undefined) this.pages.get(message.sessionId)?.told(message.method, message.params)
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.on('exit', resolve))
    await this.call('Browser.close').catch(() => {})
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5_000)
    await gone
    clearTimeout(late)
    this.#socket.close()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

const q = (text: string) => JSON.stringify(text)

export class Page {
  readonly targetId: string
  url: string
  /** Exceptions, console errors, and what the content policy refused. */
  readonly problems: string[] = []
  #browser: Browser
  #session: string

  constructor(browser: Browser, session: string, targetId: string, url: string) {
    this.#browser = browser
    this.#session = session
    this.targetId = targetId
    this.url = url
  }

  told(method: string, params: Json): void {
    if (method === 'Runtime.exceptionThrown') this.problems.push(`exception: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`)
    if (method === 'Log.entryAdded' && params.entry.level === 'error') this.problems.push(`${params.entry.source}: ${params.entry.text} ${params.entry.url ?? ''}`)
    if (method === 'Runtime.consoleAPICalled' && params.type === 'error') this.problems.push(`console: ${params.args.map((arg: Json) => arg.value ?? arg.description).join(' ')}`)
  }

  call(method: string, params: object = {}): Promise<Json> {
    return this.#browser.call(method, params, this.#session)
  }

  async run<T = Json>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value as T
  }

  /** Until the expression is true. */
  async until(what: string, expression: string, limit_ms = 30_000): Promise<void> {
    for (const end = Date.now() + limit_ms; Date.now() < end;) {
      if (await this.run(expression).catch(() => false)) return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new Error(`${what}: not in ${limit_ms} ms; the page says: ${await this.text()} ${this.problems.join(' | ')}`)
  }

  text(): Promise<string> {
    return this.run<string>('document.body.innerText.slice(0, 3000)')
  }

  async sees(text: string, limit_ms?: number): Promise<void> {
    await this.until(`seeing ${q(text)}`, `document.body.innerText.includes(${q(text)})`, limit_ms)
  }

  /** A button or link by its accessible name. */
  async click(name: string): Promise<void> {
    const find = `[...document.querySelectorAll('button, a')].find((one) => (one.getAttribute('aria-label') ?? one.textContent.trim()) === ${q(name)} && !one.disabled)`
    // Looked for and measured in one go: a page may draw itself anew between two calls.
    await this.until(`a button ${q(name)}`, `(() => { const one = ${find}; if (!one) return false; one.scrollIntoView({ block: 'center' }); const box = one.getBoundingClientRect(); window.clickAt = { x: box.x + box.width / 2, y: box.y + box.height / 2 }; return true })()`)
    // As a person's click, so that a window may be opened by it.
    const { x, y } = await this.run('window.clickAt')
    for (const type of ['mousePressed', 'mouseReleased']) await this.call('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 })
  }

  /** Types into the field with that label, as keys; chooses in a list by its text. */
  async fill(label: string, value: string): Promise<void> {
    const find = `[...document.querySelectorAll('label')].find((one) => one.textContent === ${q(label)})?.control`
    await this.until(`a field ${q(label)}`, `(() => { const one = ${find}; if (!one) return false; one.focus(); if (one.tagName !== 'SELECT') one.select?.(); window.filled = one; return true })()`)
    const kind = await this.run<string>('window.filled.tagName')
    if (kind !== 'SELECT') return void (await this.call('Input.insertText', { text: value }))
    const chosen = await this.run<boolean>(`(() => { const one = window.filled; const option = [...one.options].find((entry) => entry.text.includes(${q(value)})); if (!option) return false; one.value = option.value; one.dispatchEvent(new Event('change', { bubbles: true })); return true })()`)
    if (!chosen) throw new Error(`${label} has no choice ${value}`)
  }

  /** Chooses a file for the field with that label. */
  async choose(label: string, path: string): Promise<void> {
    await this.until(`a field ${q(label)}`, `!!(window.chosen = [...document.querySelectorAll('label')].find((one) => one.textContent === ${q(label)})?.control)`)
    const { result } = await this.call('Runtime.evaluate', { expression: 'window.chosen' })
    await this.call('DOM.setFileInputFiles', { files: [path], objectId: result.objectId })
  }

  async key(key: string): Promise<void> {
    const code = key === 'Enter' ? { key, code: 'Enter', windowsVirtualKeyCode: 13, text: '\r' } : { key, code: `Key${key.toUpperCase()}`, text: key, windowsVirtualKeyCode: key.toUpperCase().charCodeAt(0) }
    await this.call('Input.dispatchKeyEvent', { type: 'keyDown', ...code })
    await this.call('Input.dispatchKeyEvent', { type: 'keyUp', ...code, text: undefined })
  }

  async screenshot(path: string): Promise<void> {
    const { data } = await this.call('Page.captureScreenshot', { format: 'png' })
    writeFileSync(path, Buffer.from(data, 'base64'))
  }
}
