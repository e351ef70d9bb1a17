/** The routes found by head are those that trying every pattern finds, in the same order. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Router } from 'itty-router'
import { SERVICES } from '../services.ts'
import { type Route, route } from './route.ts'
import { Routes } from './router.ts'

const of = (...paths: string[]): Route[] => paths.map((path) => route({ method: 'GET', path, policy: 'public', handle: () => undefined }))

/** itty's own way: every pattern, by its parameters. */
async function tried(routes: readonly Route[], path: string): Promise<string[]> {
  const router = Router()
  const found: string[] = []
  // biome-ignore lint/suspicious/noExplicitAny: itty names methods by property.
  for (const one of routes) (router as any).all(one.path, (request: { params: object }) => void found.push(`${one.method} ${one.path} ${JSON.stringify(request.params)}`))
  await router.fetch({ method: 'GET', url: `http://route${path}` })
  return found.sort()
}

const shown = (routes: Routes, path: string) => routes.of(path).map(({ route: { method, path: pattern }, params }) => `${method} ${pattern} ${JSON.stringify(params)}`)

test('a static segment is never a parameter: the more specific route is first', () => {
  const routes = new Routes(of('/servers/:id', '/servers/detail', '/:any', '/servers/:id/ips/:network'))
  assert.deepEqual(shown(routes, '/servers/detail'), ['GET /servers/detail {}', 'GET /servers/:id {"id":"detail"}'])
  assert.deepEqual(shown(routes, '/servers/7/ips/n'), ['GET /servers/:id/ips/:network {"id":"7","network":"n"}'])
  assert.deepEqual(shown(routes, '/servers'), ['GET /:any {"any":"servers"}'])
  assert.deepEqual(shown(routes, '/servers/7/'), ['GET /servers/:id {"id":"7"}'])
  assert.deepEqual(shown(routes, '/nothing/at/all'), [])
  assert.deepEqual(shown(routes, '/'), [])
})

test('for every service and any path: what itty finds by trying all of its patterns', async () => {
  for (const service of SERVICES.filter(({ match }) => match === undefined)) {
    const routes = new Routes(service.routes)
    const words = [...new Set(service.routes.flatMap(({ path }) => path.split('/').filter((part) => part !== '' && !part.startsWith(':')))), 'x', '%2F', 'a.b', '-', '']
    const templates = fc.constantFrom(...service.routes.map(({ path }) => path)).chain((path) => fc.tuple(...path.split('/').slice(1).map((part) => (part.startsWith(':') ? fc.constantFrom('7', 'detail', '%C3%A9', 'v3') : fc.constant(part)))).map((parts) => `/${parts.join('/')}`))
    const path = fc.oneof(templates, templates.map((text) => `${text}/`), fc.array(fc.constantFrom(...words), { maxLength: 5 }).map((parts) => `/${parts.join('/')}`)).map((text) => new URL(`http://route${text.replace(/^\/+/, '/')}`).pathname)
    await fc.assert(fc.asyncProperty(path, async (text) => void assert.deepEqual(shown(routes, text).sort(), await tried(service.routes, text), text)), { numRuns: 100 })
  }
})
