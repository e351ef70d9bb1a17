import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pageUrl, socketUrl } from './address.ts'

const page = (query: string) => `https://cloud.test/dashboard/vnc.html?${query}`

test('a console page connects to its own origin, by path or by token', () => {
  assert.equal(socketUrl(page(`path=${encodeURIComponent('compute/consoles/?token=p.x')}`)), 'wss://cloud.test/compute/consoles/?token=p.x')
  assert.equal(socketUrl('http://127.0.0.1:8787/dashboard/vnc.html?token=p.x'), 'ws://127.0.0.1:8787/compute/consoles/?token=p.x')
  assert.equal(socketUrl(page('')), null)
})

test('no address leads a console page anywhere else', () => {
  for (const path of ['//evil.test/compute/consoles/?token=x', '/\\evil.test/compute/consoles/', '\\\\evil.test/', 'https://evil.test/compute/consoles/', '@evil.test/compute/consoles/', ' //evil.test/', '../agents/v1/link', 'compute/v2.1/servers', 'compute/consoles/../v2.1', '\t//evil.test/compute/consoles/']) {
    const url = socketUrl(page(`path=${encodeURIComponent(path)}`))
    assert.ok(url === null || url.startsWith('wss://cloud.test/compute/consoles/'), `${path} -> ${url}`)
  }
})

test('the pages of the URLs that Nova gives', () => {
  const origin = 'https://cloud.test'
  assert.equal(pageUrl(origin, 'wss://cloud.test/compute/consoles/?token=p.x'), 'https://cloud.test/dashboard/serial.html?path=compute%2Fconsoles%2F%3Ftoken%3Dp.x')
  assert.equal(pageUrl(origin, 'https://cloud.test/dashboard/vnc.html?path=y'), 'https://cloud.test/dashboard/vnc.html?path=y')
  for (const bad of ['javascript:alert(1)', 'https://cloud.test/other', 'data:text/html,x', 'https://evil.test/x']) assert.equal(pageUrl(origin, bad), null)
})
