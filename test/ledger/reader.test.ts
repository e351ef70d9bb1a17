/**
 * A reader changes nothing, over every service: no rule of a POST, PUT, PATCH or DELETE lets it pass on its own project, no action does, and no such call of it is answered
 * with success, even where its own ids are in the path. What a reader may do is in readers.json, each with its reason; an entry that is not needed fails.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Caller } from '../../schema/values/caller.ts'
import { SERVER_ACTIONS } from '../../workers/compute/servers/actions.ts'
import { Policy } from '../../workers/http/policy.ts'
import type { Route } from '../../workers/http/route.ts'
import type { Service } from '../../workers/http/service.ts'
import { SERVICES } from '../../workers/services.ts'
import { type IdentityCloud, type Tenant, identityCloud } from '../api/identity/support.ts'
import { type TestCloud, mintedCloud } from '../support/cloud.ts'

const ALLOWED = JSON.parse(readFileSync(join(import.meta.dirname, 'readers.json'), 'utf8')) as Record<string, string>
const FOREIGN = '0badf00d-0000-4000-8000-000000000000'
const CHANGES = ['POST', 'PUT', 'PATCH', 'DELETE', 'COPY']
const changing = SERVICES.flatMap((service) => service.routes.filter(({ method }) => CHANGES.includes(method)).map((route) => ({ service, route, name: `${service.name} ${route.method} ${route.path}` })))
const policy = new Policy(SERVICES.flatMap((service) => service.policies))
const reader: Caller = {
  user_id: 'u', user_name: 'u', user_domain_id: 'default', project_id: 'p', project_name: 'p', project_domain_id: 'default', domain_id: null, system: false, roles: ['reader'], audit_ids: [], methods: [], issued_ms: 0, expires_ms: 1, request_id: 'r',
}
const own = { project_id: 'p', user_id: 'u', domain_id: null, tenant_id: 'p' }
const needed = new Set<string>()

/** What is neither allowed nor listed. */
function unlisted(names: string[]): string[] {
  for (const name of names) needed.add(name)
  return names.filter((name) => !(name in ALLOWED))
}

test('no rule of a changing route lets a reader pass on its own project', () => {
  const open = changing.filter(({ route }) => route.policy !== 'token' && route.policy !== 'public' && policy.allows(route.policy, reader, own))
  assert.deepEqual(unlisted(open.map(({ name }) => name)), [])
})

test('no action of a server lets a reader pass, but those that only look', () => {
  const open = Object.entries(SERVER_ACTIONS).filter(([, action]) => policy.allows(action.policy, reader, own))
  assert.deepEqual(unlisted(open.map(([name]) => `nova action ${name}`)), [])
})

let minted: TestCloud
let identity: IdentityCloud
let tenant: Tenant
before(async () => {
  minted = await mintedCloud()
  identity = identityCloud()
  tenant = await identity.tenant('reader', 'reader')
})
after(() => {
  minted.close()
  identity.close()
})

/** The reader's own ids where the path asks for a user or a project: it must not be the foreign id that refuses. */
function pathOf(service: Service, route: Route): string {
  const ids = service.name === 'keystone' ? { project: tenant.project_id, user: tenant.user_id } : { project: 'project-a', user: 'user-a' }
  const path = route.path.replace(/:project_id\+?|:target_id(?=\/)/g, ids.project).replace(/:user_id\+?|:actor_id/g, ids.user).replace(/:account\+?/g, 'AUTH_project-a')
  return `${service.prefix}${path.replace(/:[a-z_A-Z]+\+?/g, FOREIGN)}`
}

test('no changing call of a reader succeeds', async () => {
  const token = await minted.token({ role: 'reader', project_id: 'project-a', user_id: 'user-a' })
  const done: string[] = []
  const failed: string[] = []
  for (const { service, route, name } of changing) {
    if (route.policy === 'public' && service.dialect !== 'swift') continue
    const headers: Record<string, string> = service.microversions === undefined ? {} : { 'openstack-api-version': `${service.microversions.header} ${service.microversions.max[0]}.${route.versions?.[1] ?? service.microversions.max[1]}` }
    const given = { headers, json: route.body === 'stream' || route.method === 'DELETE' ? undefined : {} }
    const answer = service.name === 'keystone' ? await identity.call(route.method, pathOf(service, route), { ...given, token: tenant.token }) : await minted.call(route.method, pathOf(service, route), { ...given, token })
    if (answer.status < 400) done.push(name)
    if (answer.status >= 500 && answer.status !== 501) failed.push(`${name} answered ${answer.status}`)
  }
  assert.deepEqual(unlisted(done), [])
  assert.deepEqual(failed, [])
})

test('what a member has made, a reader of the same project leaves as it is', async () => {
  const [member, token] = [await minted.token({ project_id: 'project-c' }), await minted.token({ role: 'reader', project_id: 'project-c' })]
  const made = await minted.call('POST', '/volume/v3/project-c/volumes', { token: member, json: { volume: { size: 1, name: 'v' } } })
  assert.equal(made.status, 202, made.text)
  const path = `/volume/v3/project-c/volumes/${made.body.volume.id}`
  assert.equal((await minted.call('GET', path, { token })).status, 200)
  const actions: Record<string, unknown> = {
    'os-extend': { new_size: 2 }, 'os-reserve': null, 'os-unreserve': null, 'os-begin_detaching': null, 'os-roll_detaching': null, 'os-attach': { instance_uuid: FOREIGN, mountpoint: '/dev/vdb' }, 'os-detach': {}, 'os-set_bootable': { bootable: true },
    'os-update_readonly_flag': { readonly: true }, 'os-reset_status': { status: 'error' }, 'os-force_delete': {}, 'os-set_image_metadata': { metadata: { a: 'b' } }, 'os-unset_image_metadata': { key: 'a' }, 'os-volume_upload_image': { image_name: 'i' },
    'os-retype': { new_type: 'x', migration_policy: 'never' },
  }
  const passed: string[] = []
  for (const [name, body] of Object.entries(actions)) {
    const { status } = await minted.call('POST', `${path}/action`, { token, json: { [name]: body }, headers: { 'openstack-api-version': 'volume 3.70' } })
    if (status !== 403) passed.push(`${name} answered ${status}`)
  }
  for (const [method, json] of [['PUT', { volume: { name: 'x' } }], ['DELETE', undefined]] as const) assert.equal((await minted.call(method, path, { token, json })).status, 403)
  assert.deepEqual(passed, [])
  assert.equal((await minted.call('GET', path, { token })).body.volume.name, 'v')
})

test('nothing is listed that no reader needs', () => {
  assert.deepEqual(Object.keys(ALLOWED).filter((name) => !needed.has(name)), [])
})
