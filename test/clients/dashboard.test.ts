/**
 * The dashboard and the console pages in a real browser, over the shipped cloud with simulated hosts: what a person does from signing in to a server's screen, with
 * names that try to be scripts, and without one refusal of the content policy or error in the console.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { base32, passcode, stepOf } from '../../workers/identity/mfa/totp.ts'
import { Browser, browserMissing, type Page } from '../support/browser.ts'
import { type Shipped, shipped } from '../support/shipped.ts'

const skip = browserMissing()
/** What a name must never become: each sets `hacked` where it is taken for a page's text or code. */
const PAYLOADS = ['<img src=x onerror="window.hacked=1">', '"><script>window.hacked=1</script>', '<svg/onload=window.hacked=1>', 'javascript:window.hacked=1', '{{constructor.constructor("window.hacked=1")()}}']
const CONNECTED = `document.getElementById('status').textContent === 'Connected'`
/** Colour of the middle of the screen. */
const MIDDLE = `(() => { const canvas = document.querySelector('#screen canvas'); return [...canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data].join() })()`
const SCREENSHOTS = process.env.SKYHOOK_SCREENSHOTS

describe('dashboard', { skip }, () => {
  let cloud: Shipped
  let browser: Browser
  let page: Page
  before(async () => {
    cloud = await shipped('sim:2')
    await cloud.until('the image is there', async () => ((await cloud.api.call('GET', '/image/v2/images?name=guest&status=active')) as { images: unknown[] }).images.length > 0)
    browser = await Browser.start()
  })
  after(async () => {
    await browser?.stop()
    cloud?.remove()
  })

  const look = async (at: Page, name: string) => {
    if (SCREENSHOTS === undefined) return
    mkdirSync(SCREENSHOTS, { recursive: true })
    await at.screenshot(join(SCREENSHOTS, `${name}.png`))
  }
  const servers = async () => ((await cloud.api.call('GET', '/compute/v2.1/servers/detail')) as { servers: { id: string; name: string; status: string }[] }).servers

  test('the address of the cloud leads to the sign-in page; a wrong password is told in the words of the API', async () => {
    page = await browser.open(`${cloud.url}/`)
    await page.sees('Sign in to Skyhook')
    await page.fill('User', 'admin')
    await page.fill('Password', 'wrong')
    await page.key('Enter')
    await page.until('the refusal', `/requires authentication/.test(document.querySelector('[role=alert]')?.textContent)`)
    assert.match(await page.text(), /Request req-/)
    assert.deepEqual(page.problems.splice(0).filter((problem) => !/401/.test(problem)), [])
    await page.fill('Password', cloud.password)
    await page.key('Enter')
    await page.sees('Overview of admin')
    await page.sees('0 of 10')
    await look(page, 'overview')
    assert.equal(await page.run(`document.cookie + JSON.stringify(localStorage)`), '{}', 'the token is in this tab only')
  })

  test('a server is made, becomes active, and its screen opens in noVNC; a key arrives; a used address is refused', async () => {
    await page.click('Servers')
    await page.click('Create server')
    await page.fill('Image', 'guest')
    await page.fill('Flavor', 'm1.tiny')
    await page.fill('Network', 'private')
    await page.fill('Name', 'web')
    await page.key('Enter')
    await page.sees('ACTIVE')
    await look(page, 'servers')
    await page.click('Console web')
    const console = await browser.page((one) => one.url.includes('/dashboard/vnc.html'))
    await console.until('noVNC is connected', CONNECTED)
    await console.sees('simulated web')
    await console.until('the picture', `${MIDDLE} === '27,79,143,255'`)
    await console.key('x')
    await console.until('another picture after a key', `${MIDDLE} === '31,122,77,255'`)
    await look(console, 'console')
    assert.equal(await console.run('location.search'), '', 'the token is out of the address')
    await console.run('location.reload()')
    await console.sees('This address names no console')
    assert.deepEqual(console.problems, [])
  })

  test('the serial line in a terminal, and the log as text', async () => {
    await page.click('web')
    await page.click('Show log')
    await page.until('the log', `/Linux version[^]*web login:/.test(document.querySelector('.log').textContent)`)
    await page.click('Open serial line')
    const serial = await browser.page((one) => one.url.includes('/dashboard/serial.html'))
    await serial.until('the terminal is connected', CONNECTED)
    await serial.sees('web login:')
    await serial.call('Page.bringToFront')
    for (const letter of 'root') await serial.key(letter)
    await serial.sees('web login: root')
    await look(serial, 'serial')
    assert.deepEqual(serial.problems, [])
    const { id = '' } = (await servers())[0] ?? {}
    await cloud.api.call('POST', `/compute/v2.1/servers/${id}/action`, { 'os-stop': null })
    await serial.sees('Disconnected: the console was closed by the machine.')
    await page.call('Page.bringToFront')
    await page.sees('SHUTOFF')
  })

  test('names that try to be scripts are shown as they are, on every page', async () => {
    const project = cloud.api.projectId
    const { images } = (await cloud.api.call('GET', '/image/v2/images?name=guest')) as { images: { id: string }[] }
    const account = `/object-store/v1/AUTH_${project}`
    for (const name of PAYLOADS) {
      await cloud.api.call('POST', '/compute/v2.1/servers', { server: { name, flavorRef: '1', imageRef: images[0]?.id, networks: 'none' } }, { headers: { 'openstack-api-version': 'compute 2.96' } })
      await cloud.api.call('POST', `/volume/v3/${project}/volumes`, { volume: { name, size: 1 } })
      await cloud.api.call('POST', '/network/v2.0/networks', { network: { name } })
      await cloud.api.call('POST', '/network/v2.0/routers', { router: { name } })
      await cloud.api.call('POST', '/network/v2.0/security-groups', { security_group: { name, description: name } })
      await cloud.api.call('POST', '/image/v2/images', { name, disk_format: 'raw', container_format: 'bare' })
      const container = `${account}/${encodeURIComponent(name.replaceAll('/', '_'))}`
      await cloud.api.call('PUT', container)
      await cloud.api.call('PUT', `${container}/${encodeURIComponent(name)}`, undefined, { raw: name, headers: { 'content-type': 'text/html' } })
    }
    const container = PAYLOADS[0]?.replaceAll('/', '_') ?? ''
    const pages = ['servers', 'volumes', 'networks', 'routers', 'security-groups', 'images', 'containers', `containers/${encodeURIComponent(container)}`]
    for (const path of pages) {
      await page.run(`location.hash = ${JSON.stringify(`#/${path}`)}`)
      await page.sees(path.startsWith('containers') ? container : (PAYLOADS[0] ?? ''))
    }
    await page.run(`location.hash = '#/keypairs/${encodeURIComponent(PAYLOADS[0] ?? '')}'`)
    await page.sees('No key pairs yet.')
    assert.equal(await page.run(`typeof window.hacked + document.querySelectorAll('main img, main svg, main script').length`), 'undefined0')
  })

  test('volumes, networks, addresses and objects: made, joined, and deleted by hand', async () => {
    await page.click('Volumes')
    await page.click('Create volume')
    await page.fill('Name', 'data')
    await page.key('Enter')
    await page.click('Attach data')
    await page.fill('Server', 'web')
    await page.click('Attach')
    await page.click('Detach data')
    await page.click('Delete data')
    await page.click('Yes, delete it')
    await page.until('the volume is gone', `!document.querySelector('[aria-label="Delete data"]')`)
    await page.click('Floating IPs')
    await page.click('Allocate address')
    await page.fill('From network', 'public')
    await page.click('Allocate address')
    await page.sees('172.24.4.')
    await page.click('Security groups')
    await page.click('default')
    await page.click('Add rule')
    await page.click('Add rule')
    await page.until('the rule', `[...document.querySelectorAll('td')].some((cell) => cell.textContent === '22')`)
    await page.click('Containers')
    await page.click('Create container')
    await page.fill('Name', 'files')
    await page.key('Enter')
    await page.click('files')
    await page.sees('No objects yet.')
    for (const [path, text] of [['Images', 'guest'], ['Hosts', 'sim-1'], ['Hypervisors', 'of 64']] as const) {
      await page.click(path)
      await page.sees(text)
    }
    await page.click('Networks')
    await page.click('Create network')
    await page.fill('Name', 'bad')
    await page.fill('Subnet, CIDR', '10.300.0.0/24')
    await page.key('Enter')
    await page.until('the refusal', `/10.300.0.0/.test(document.querySelector('[role=alert]')?.textContent)`)
    assert.deepEqual(page.problems.filter((problem) => !/status of 400/.test(problem)), [])
  })

  test('a member of two projects: no pages of administrators, a passcode where the account asks for one, one project at a time', async () => {
    const { user } = (await cloud.api.call('POST', '/identity/v3/users', { user: { name: 'mia', password: 'Tide-and-7-gulls', options: { multi_factor_auth_enabled: true, multi_factor_auth_rules: [['password', 'totp']] } } })) as { user: { id: string } }
    const { roles } = (await cloud.api.call('GET', '/identity/v3/roles?name=member')) as { roles: { id: string }[] }
    const secret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
    for (const name of ['north', 'south']) {
      const { project } = (await cloud.api.call('POST', '/identity/v3/projects', { project: { name } })) as { project: { id: string } }
      await cloud.api.call('PUT', `/identity/v3/projects/${project.id}/users/${user.id}/roles/${roles[0]?.id}`)
      if (name === 'north') await cloud.api.call('POST', '/identity/v3/credentials', { credential: { user_id: user.id, project_id: project.id, type: 'totp', blob: secret } })
    }
    await page.click('Sign out')
    await page.fill('User', 'mia')
    await page.fill('Password', 'Tide-and-7-gulls')
    await page.key('Enter')
    await page.until('the refusal', `/req-/.test(document.querySelector('[role=alert]')?.textContent)`)
    await page.fill('One-time passcode', passcode(base32(secret) ?? new Uint8Array(), stepOf(Date.now())))
    await page.key('Enter')
    await page.sees('Overview of north')
    assert.doesNotMatch(await page.text(), /Hosts|Hypervisors/)
    await page.run(`location.hash = '#/hosts'`)
    await page.sees('There is no such page.')
    await page.click('Key pairs')
    await page.click('Import key')
    await page.fill('Public key', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILcrWzTk5lNzuMVIQYqTXPGqGGBfm5p0lRzwQ2HkqbHT mia@here')
    await page.fill('Name', 'mine')
    await page.key('Enter')
    await page.until('the key', `[...document.querySelectorAll('tbody th')].some((cell) => cell.textContent === 'mine')`)
    await page.click('Networks')
    await page.click('Create network')
    await page.fill('Name', 'of-north')
    await page.key('Enter')
    await page.sees('10.0.0.0/24')
    await page.fill('Project', 'south')
    await page.until('only what is there', `document.querySelector('main td') && !document.body.innerText.includes('of-north')`)
    page.problems.splice(0)
  })

  test('an object goes up from a file and comes down the same; an image too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dashboard-'))
    const bytes = randomBytes(300_000)
    writeFileSync(join(folder, 'tide table.bin'), bytes)
    await browser.call('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: join(folder, 'down') })
    await page.click('Containers')
    await page.click('Create container')
    await page.fill('Name', 'sea')
    await page.key('Enter')
    await page.click('sea')
    await page.click('Upload object')
    await page.choose('File', join(folder, 'tide table.bin'))
    await page.click('Upload object')
    await page.sees('293 KiB')
    await page.click('Download tide table.bin')
    await cloud.until('the download', async () => existsSync(join(folder, 'down/tide table.bin')) && readFileSync(join(folder, 'down/tide table.bin')).equals(bytes))
    await page.click('Delete tide table.bin')
    await page.click('Yes, delete it')
    await page.sees('No objects yet.')
    await page.click('Images')
    await page.click('Upload image')
    await page.fill('Name', 'sand')
    await page.fill('Format', 'raw')
    await page.choose('File', join(folder, 'tide table.bin'))
    await page.click('Upload image')
    await page.until('the image is active', `[...document.querySelectorAll('tbody tr')].some((row) => /sand.*active.*293 KiB/s.test(row.innerText))`)
    rmSync(folder, { recursive: true })
    assert.deepEqual(page.problems, [])
  })

  test('signing out leaves nothing: the token is revoked', async () => {
    const token = await page.run<string>(`JSON.parse(sessionStorage.getItem('skyhook.session')).token`)
    assert.equal((await cloud.call('GET', '/compute/v2.1/servers', { token })).status, 200)
    await page.click('Sign out')
    await page.sees('Sign in to Skyhook')
    await cloud.until('the token is refused', async () => (await cloud.call('GET', '/compute/v2.1/servers', { token })).status === 401)
    assert.equal(await page.run('sessionStorage.length'), 0)
    await page.fill('User', 'admin')
    await page.fill('Password', cloud.password)
    await page.key('Enter')
    await page.sees('Overview of admin')
    const next = await page.run<string>(`JSON.parse(sessionStorage.getItem('skyhook.session')).token`)
    assert.equal((await cloud.call('DELETE', '/identity/v3/auth/tokens', { token: next, headers: { 'x-subject-token': next } })).status, 204)
    // The page asks now and then by itself: it may have found out before anyone clicks.
    await page.run(`void [...document.querySelectorAll('a')].find((one) => one.textContent.trim() === 'Servers')?.click()`)
    await page.sees('Your session has ended. Sign in again.')
  })

  test('pages may not be framed, scripts come from files only, and no token is in a log', async () => {
    for (const path of ['/dashboard', '/dashboard/vnc.html', '/dashboard/serial.html', '/dashboard/assets/main.js']) {
      const { status, headers } = await cloud.call('GET', path)
      assert.equal(status, 200)
      const policy = headers.get('content-security-policy') ?? ''
      assert.match(policy, /default-src 'none'; script-src 'self';.*frame-ancestors 'none'/)
      assert.doesNotMatch(policy, /unsafe-eval|script-src[^;]*unsafe/)
      assert.equal(headers.get('referrer-policy'), 'no-referrer')
      assert.equal((await cloud.call('GET', path, { headers: { 'if-none-match': headers.get('etag') ?? '' } })).status, 304)
    }
    for (const path of ['/dashboard/nothing', '/dashboard/assets/index.html', '/dashboard/assets/__proto__', '/dashboard/assets/..%2Fservice.ts']) assert.equal((await cloud.call('GET', path)).status, 404, path)
    const { id = '' } = (await servers()).find(({ name }) => name === 'web') ?? {}
    await cloud.api.call('POST', `/compute/v2.1/servers/${id}/action`, { 'os-start': null })
    await cloud.until('it runs', async () => (await servers()).find((one) => one.id === id)?.status === 'ACTIVE')
    const { console } = (await cloud.api.call('POST', `/compute/v2.1/servers/${id}/action`, { 'os-getVNCConsole': { type: 'novnc' } })) as { console: { url: string } }
    const token = decodeURIComponent(console.url).split('token=')[1] ?? ''
    assert.ok(token.length > 30)
    const other = await browser.open(console.url)
    await other.until('noVNC is connected', CONNECTED)
    const again = await browser.open(console.url)
    await again.sees('Refused')
    for (const log of readdirSync(join(cloud.home, 'logs'))) assert.ok(!readFileSync(join(cloud.home, 'logs', log), 'utf8').includes(token), `${log} has a console's token`)
  })
})
