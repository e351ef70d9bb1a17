/**
 * Every route of every service, generated from the registry: none without a policy, none open to nobody by mistake, none that answers a stranger with anything but
 * 401, 403 or 404, none that fails with 500 on ids that do not exist.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { SERVICES } from '../../workers/services.ts'
import type { Route } from '../../workers/http/route.ts'
import type { Service } from '../../workers/http/service.ts'
import { type IdentityCloud, identityCloud } from '../api/identity/support.ts'
import { type TestCloud, mintedCloud } from '../support/cloud.ts'

const FOREIGN = '0badf00d-0000-4000-8000-000000000000'
/** Routes that a stranger may call: said with the reason, kept short. 'service METHOD path' -> reason. */
const OPEN = JSON.parse(readFileSync(join(import.meta.dirname, 'open.json'), 'utf8')) as Record<string, string>

const name = (service: Service, route: Route) => `${service.name} ${route.method} ${route.path}`
const all = SERVICES.flatMap((service) => service.routes.map((route) => ({ service, route, name: name(service, route) })))

let cloud: TestCloud
/** Keystone itself, whose tokens nobody can mint. */
let identity: IdentityCloud
before(async () => {
  cloud = await mintedCloud()
  identity = identityCloud()
})
after(() => {
  cloud.close()
  identity.close()
})

/** The route's path with every parameter foreign. */
function pathOf(service: Service, route: Route): string {
  const path = route.path.replace(/:project_id\+?/g, 'project-b').replace(/:account\+?/g, 'AUTH_project-a').replace(/:[a-z_A-Z]+\+?/g, FOREIGN)
  return `${service.prefix}${path}`
}

async function call(service: Service, route: Route, token: string | undefined) {
  const json = ['POST', 'PUT', 'PATCH'].includes(route.method) && route.body !== 'stream' ? {} : undefined
  const headers: Record<string, string> = service.microversions === undefined ? {} : { 'openstack-api-version': `${service.microversions.header} ${service.microversions.max.join('.')}` }
  if (route.versions?.[1] != null && service.microversions !== undefined) headers['openstack-api-version'] = `${service.microversions.header} ${service.microversions.max[0]}.${route.versions[1]}`
  return await (service.name === 'keystone' ? identity : cloud).call(route.method, pathOf(service, route), { token, json, headers })
}

test('every route names a policy, and every policy name is unique', () => {
  const rules = SERVICES.flatMap((service) => service.policies.map((rule) => rule.name))
  assert.equal(new Set(rules).size, rules.length)
  assert.deepEqual(all.filter(({ route }) => route.policy === '').map((entry) => entry.name), [])
  assert.deepEqual(all.map((entry) => entry.name).filter((entry, at, list) => list.indexOf(entry) !== at), [], 'two routes of one name')
})

test('without a token every route but the public ones is 401', async () => {
  const wrong: string[] = []
  for (const { service, route, name } of all) {
    if (route.policy === 'public') continue
    const answer = await call(service, route, undefined)
    if (answer.status !== 401) wrong.push(`${name} answered ${answer.status}`)
  }
  assert.deepEqual(wrong, [])
})

test('public routes are those that must be', () => {
  const open = all.filter(({ route, service }) => route.policy === 'public' && service.dialect !== 'swift' && service.dialect !== 's3').map((entry) => entry.name)
  assert.deepEqual(open.filter((entry) => !(entry in OPEN)), [])
})

test('a token without any role changes nothing and reads nothing of others', async () => {
  const token = await cloud.token({ role: 'none', project_id: 'project-b', user_id: 'user-b' })
  const wrong: string[] = []
  const stranger = (await identity.tenant('no-role', null)).token
  for (const { service, route, name } of all) {
    if (route.policy === 'public') continue
    const answer = await call(service, route, service.name === 'keystone' ? stranger : token)
    if (![400, 401, 403, 404, 405, 409, 410, 413, 415].includes(answer.status) && !(name in OPEN)) wrong.push(`${name} answered ${answer.status}`)
  }
  assert.deepEqual(wrong, [])
})

test('a member asking for ids that are not there gets an answer, never a 500 and never a success', async () => {
  const token = await cloud.token({ role: 'member', project_id: 'project-b', user_id: 'user-b' })
  const wrong: string[] = []
  const member = (await identity.tenant('member')).token
  for (const { service, route, name } of all) {
    if (route.policy === 'public') continue
    const answer = await call(service, route, service.name === 'keystone' ? member : token)
    const named = /:[a-z_]*id\b/.test(route.path.replace(':project_id', ''))
    if (answer.status >= 500 || (named && answer.status < 300 && !(name in OPEN))) wrong.push(`${name} answered ${answer.status}: ${answer.text.slice(0, 120)}`)
  }
  assert.deepEqual(wrong, [])
})
