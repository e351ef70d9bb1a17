/** Regions, services, endpoints, policies and where they apply, endpoint filter, limits. */
import type { Side } from '../side.ts'
import { type Furniture, LONG, NOBODY, mistakes } from './furniture.ts'

export async function catalog(s: Side, f: Furniture): Promise<void> {
  s.area('regions')
  const region = await s.make('POST', '/v3/regions', 'region', 'region', { id: s.name('region'), description: 'the region', colour: 'red' })
  const inner = await s.make('POST', '/v3/regions', 'region', 'region inner', { parent_region_id: region.id })
  await mistakes(s, f, { path: '/v3/regions', kind: 'region', id: region.id, valid: { description: 'valid' }, bad: [{ id: region.id }, { id: LONG }, { id: 5 }, { description: 5 }, { parent_region_id: NOBODY }, { parent_region_id: 5 }] })
  await s.call('PUT', `/v3/regions/${s.name('put')}`, { json: { region: { description: 'by PUT' } } })
  await s.call('PUT', `/v3/regions/${s.name('put')}`, { json: { region: { id: 'another' } }, label: 'two ids' })
  await s.call('GET', `/v3/regions?parent_region_id=${region.id}`)
  for (const [label, change] of Object.entries({ 'description': { description: 'changed' }, 'parent': { parent_region_id: null }, 'circle': { parent_region_id: inner.id }, 'missing parent': { parent_region_id: NOBODY }, 'empty': {}, 'id': { id: NOBODY }, 'null': { description: null } })) await s.call('PATCH', `/v3/regions/${region.id}`, { json: { region: change }, label })
  await s.call('DELETE', `/v3/regions/${s.name('put')}`)

  s.area('services')
  const service = await s.make('POST', '/v3/services', 'service', 'service', { type: s.name('weather'), name: s.name('cloudy'), description: 'of clouds', enabled: true, colour: 'red' })
  const bare = await s.make('POST', '/v3/services', 'service', 'service bare', { type: s.name('bare') })
  await mistakes(s, f, { path: '/v3/services', kind: 'service', id: service.id, valid: { type: s.name('valid') }, bad: [{}, { type: '' }, { type: 5 }, { type: LONG }, { type: 'x', enabled: 'yes' }, { type: 'x', name: 5 }, { type: 'x', description: 5 }] })
  for (const query of [`type=${s.name('weather')}`, `name=${s.name('cloudy')}`, `type__contains=${s.name('weather').slice(1)}`]) await s.call('GET', `/v3/services?${query}`)
  for (const [label, change] of Object.entries({ 'name': { name: s.name('sunny') }, 'disable': { enabled: false }, 'enable': { enabled: true }, 'more': { size: 2 }, 'empty': {}, 'null': { description: null }, 'bad': { type: '' }, 'id': { id: NOBODY } })) await s.call('PATCH', `/v3/services/${service.id}`, { json: { service: change }, label })

  s.area('endpoints')
  const path = '/v3/endpoints'
  const url = 'http://weather.example.org/v1/%(tenant_id)s'
  const valid = { interface: 'public', service_id: service.id, url, region_id: region.id }
  const endpoint = await s.make('POST', path, 'endpoint', 'endpoint', { ...valid, name: 'weather', colour: 'blue' })
  const admin = await s.make('POST', path, 'endpoint', 'endpoint admin', { interface: 'admin', service_id: service.id, url: 'http://weather.example.org/admin', enabled: false })
  await s.make('POST', path, 'endpoint', 'endpoint older', { interface: 'internal', service_id: service.id, url: 'http://weather.example.org/', region: s.name('older-region') })
  await mistakes(s, f, {
    path, kind: 'endpoint', id: endpoint.id, valid,
    bad: [{ service_id: service.id, url }, { interface: 'public', url }, { interface: 'public', service_id: service.id }, { ...valid, interface: 'private' }, { ...valid, interface: 5 }, { ...valid, service_id: NOBODY }, { ...valid, region_id: NOBODY }, { ...valid, url: '' }, { ...valid, url: 'nonsense' }, { ...valid, url: 'http://x/%(nonsense)s' },
      { ...valid, url: 'http://x/%(tenant_id)' }, { ...valid, enabled: 'yes' }, { ...valid, url: 5 }, { ...valid, name: 5 }, { ...valid, region: s.name('older-region') }],
  })
  for (const query of [`service_id=${service.id}`, `interface=admin&service_id=${service.id}`, `region_id=${region.id}`, 'interface=nonsense']) await s.call('GET', `${path}?${query}`)
  for (const [label, change] of Object.entries({ 'url': { url: 'http://weather.example.org/v2' }, 'interface': { interface: 'internal' }, 'back': { interface: 'public' }, 'service': { service_id: NOBODY }, 'region': { region_id: null }, 'region again': { region_id: region.id }, 'disable': { enabled: false }, 'enable': { enabled: true }, 'empty': {}, 'bad': { interface: 'x' }, 'id': { id: NOBODY }, 'url with region': { url: 'http://weather.example.org/$(project_id)s' } })) await s.call('PATCH', `${path}/${endpoint.id}`, { json: { endpoint: change }, label })
  await s.call('GET', '/v3/auth/catalog', { as: f.member.token, label: 'with it' })
  await s.call('DELETE', `/v3/regions/${region.id}`, { label: 'with endpoints' })

  await policies(s, f, { service: service.id, endpoint: endpoint.id, region: region.id })
  await endpointFilter(s, f, { service: service.id, endpoint: endpoint.id })
  await limits(s, f, { service: service.id, bare: bare.id, region: region.id })
  s.area('endpoints')
  await s.call('DELETE', `${path}/${admin.id}`)
  s.area('services')
  await s.call('DELETE', `/v3/services/${service.id}`, { label: 'with endpoints' })
  await s.call('GET', `${path}/${endpoint.id}`, { label: 'of a deleted service' })
  s.area('regions')
  await s.call('DELETE', `/v3/regions/${region.id}`, { label: 'with children' })
  await s.call('GET', `/v3/regions/${inner.id}`, { label: 'of a deleted parent' })
}

async function policies(s: Side, f: Furniture, ids: { service: string; endpoint: string; region: string }): Promise<void> {
  s.area('policies')
  const policy = await s.make('POST', '/v3/policies', 'policy', 'policy', { blob: '{"x": "role:x"}', type: 'application/json', colour: 'red' })
  await s.make('POST', '/v3/policies', 'policy', 'policy object', { blob: { x: 'role:x' }, type: 'application/json' })
  await mistakes(s, f, { path: '/v3/policies', kind: 'policy', id: policy.id, valid: { blob: 'x', type: 'text' }, patch: { type: 'text' }, bad: [{}, { blob: 'x' }, { type: 'text' }, { blob: 5, type: 'text' }, { blob: 'x', type: 5 }, { blob: 'x', type: LONG }] })
  await s.call('GET', '/v3/policies?type=application/json')
  for (const [label, change] of Object.entries({ 'blob': { blob: 'other' }, 'type': { type: 'text/plain' }, 'empty': {}, 'more': { size: 2 }, 'bad': { type: 5 } })) await s.call('PATCH', `/v3/policies/${policy.id}`, { json: { policy: change }, label })

  s.area('endpoint policy')
  const base = `/v3/policies/${policy.id}/OS-ENDPOINT-POLICY`
  await s.call('GET', `/v3/endpoints/${ids.endpoint}/OS-ENDPOINT-POLICY/policy`, { label: 'none' })
  await s.call('GET', `${base}/endpoints`, { label: 'none' })
  for (const tail of [`endpoints/${ids.endpoint}`, `services/${ids.service}`, `services/${ids.service}/regions/${ids.region}`]) {
    for (const method of ['GET', 'HEAD', 'DELETE']) await s.call(method, `${base}/${tail}`, { label: 'not there' })
    await s.call('PUT', `${base}/${tail}`)
    await s.call('PUT', `${base}/${tail}`, { label: 'again' })
    for (const method of ['GET', 'HEAD']) await s.call(method, `${base}/${tail}`)
    await s.call('GET', `${base}/${tail}`, { as: f.member.token, label: 'as member' })
    for (const method of ['GET', 'HEAD']) {
      await s.call(method, `${base}/endpoints`, { label: tail.split('/').length.toString() })
      await s.call(method, `/v3/endpoints/${ids.endpoint}/OS-ENDPOINT-POLICY/policy`, { label: tail.replace(/\/.*\//, ' ').replace(/\/.*/, '') })
    }
    await s.call('DELETE', `${base}/${tail}`)
    await s.call('GET', `${base}/${tail}`, { label: 'gone' })
  }
  for (const tail of [`endpoints/${NOBODY}`, `services/${NOBODY}`, `services/${ids.service}/regions/${NOBODY}`]) await s.call('PUT', `${base}/${tail}`)
  await s.call('PUT', `/v3/policies/${NOBODY}/OS-ENDPOINT-POLICY/endpoints/${ids.endpoint}`)
  await s.call('GET', `/v3/policies/${NOBODY}/OS-ENDPOINT-POLICY/endpoints`)
  await s.call('GET', `/v3/endpoints/${NOBODY}/OS-ENDPOINT-POLICY/policy`)
  await s.call('PUT', `${base}/services/${ids.service}`, { label: 'before the end' })
  s.area('policies')
  await s.call('DELETE', `/v3/policies/${policy.id}`)
  await s.call('GET', `/v3/policies/${policy.id}`, { label: 'gone' })
  await s.call('GET', `/v3/endpoints/${ids.endpoint}/OS-ENDPOINT-POLICY/policy`, { label: 'policy gone' })
}

async function endpointFilter(s: Side, f: Furniture, ids: { service: string; endpoint: string }): Promise<void> {
  s.area('endpoint filter')
  const base = '/v3/OS-EP-FILTER'
  const one = `${base}/projects/${f.project_id}/endpoints/${ids.endpoint}`
  for (const method of ['GET', 'HEAD', 'DELETE']) await s.call(method, one, { label: 'not there' })
  await s.call('PUT', one)
  await s.call('PUT', one, { label: 'again' })
  await s.call('PUT', one, { as: f.member.token, label: 'as member' })
  await s.call('PUT', `${base}/projects/${NOBODY}/endpoints/${ids.endpoint}`)
  await s.call('PUT', `${base}/projects/${f.project_id}/endpoints/${NOBODY}`)
  for (const method of ['GET', 'HEAD']) for (const path of [one, `${base}/projects/${f.project_id}/endpoints`, `${base}/endpoints/${ids.endpoint}/projects`]) await s.call(method, path)
  await s.call('GET', '/v3/auth/catalog', { as: f.member.token, label: 'filtered' })
  await s.call('GET', `${base}/projects/${NOBODY}/endpoints`)
  await s.call('GET', `${base}/endpoints/${NOBODY}/projects`)
  await s.call('DELETE', one)
  const group = await s.make('POST', `${base}/endpoint_groups`, 'endpoint_group', 'endpoint group', { name: s.name('epg'), description: 'of public', filters: { interface: 'public', service_id: ids.service } })
  await mistakes(s, f, {
    path: `${base}/endpoint_groups`, kind: 'endpoint_group', id: group.id, valid: { name: s.name('valid'), filters: { interface: 'public' } },
    bad: [{}, { name: s.name('x') }, { name: '', filters: { interface: 'public' } }, { name: s.name('x'), filters: { nonsense: 'x' } }, { name: s.name('x'), filters: 'x' }, { name: s.name('x'), filters: { interface: 'x' } }, { name: s.name('x'), filters: {} }, { name: s.name('x'), filters: { interface: 'public' }, description: 5 }],
  })
  await s.call('GET', `${base}/endpoint_groups?name=${s.name('epg')}`)
  for (const [label, change] of Object.entries({ 'name': { name: s.name('other') }, 'filters': { filters: { interface: 'public', service_id: ids.service } }, 'empty': {}, 'bad': { filters: { nonsense: 1 } } })) await s.call('PATCH', `${base}/endpoint_groups/${group.id}`, { json: { endpoint_group: change }, label })
  const link = `${base}/endpoint_groups/${group.id}/projects/${f.project_id}`
  for (const method of ['GET', 'HEAD', 'DELETE']) await s.call(method, link, { label: 'not there' })
  await s.call('PUT', link)
  await s.call('PUT', link, { label: 'again' })
  await s.call('PUT', `${base}/endpoint_groups/${group.id}/projects/${NOBODY}`)
  await s.call('PUT', `${base}/endpoint_groups/${NOBODY}/projects/${f.project_id}`)
  for (const method of ['GET', 'HEAD']) for (const path of [link, `${base}/endpoint_groups/${group.id}/projects`, `${base}/endpoint_groups/${group.id}/endpoints`, `${base}/projects/${f.project_id}/endpoint_groups`, `${base}/projects/${f.project_id}/endpoints`]) await s.call(method, path, { label: 'by group' })
  await s.call('GET', '/v3/auth/catalog', { as: f.member.token, label: 'by group' })
  await s.call('DELETE', link)
  await s.call('DELETE', `${base}/endpoint_groups/${group.id}`)
}

async function limits(s: Side, f: Furniture, ids: { service: string; bare: string; region: string }): Promise<void> {
  s.area('registered limits')
  const path = '/v3/registered_limits'
  const valid = { service_id: ids.service, resource_name: 'cloud', default_limit: 10 }
  const made = await s.call('POST', path, { quiet: true, json: { registered_limits: [{ ...valid, region_id: ids.region, description: 'clouds' }] } })
  const registered = made.body?.registered_limits?.[0]?.id as string
  s.learn(registered, 'registered limit')
  await s.call('GET', `${path}/${registered}`)
  const post = (list: unknown, label: string) => s.call('POST', path, { json: { registered_limits: list }, label })
  await post([{ ...valid, region_id: ids.region }], 'again')
  await post([valid], 'without region')
  for (const [at, bad] of [{}, { service_id: ids.service }, { ...valid, default_limit: 'x' }, { ...valid, default_limit: -2 }, { ...valid, resource_name: '' }, { ...valid, service_id: NOBODY }, { ...valid, region_id: NOBODY }, { ...valid, nonsense: 1 }, { ...valid, resource_name: LONG }].entries()) await post([bad], `bad ${at}`)
  await post([], 'none')
  await post('x', 'text')
  await s.call('POST', path, { json: { registered_limits: [valid] }, as: f.member.token, label: 'as member' })
  for (const query of ['', `?service_id=${ids.service}`, '?resource_name=cloud', `?region_id=${ids.region}`]) await s.call('GET', `${path}${query}`)
  await s.call('GET', path, { as: f.member.token, label: 'as member' })
  await s.call('GET', `${path}/${NOBODY}`)
  await s.call('HEAD', path)
  for (const [label, change] of Object.entries({ 'amount': { default_limit: 20 }, 'name': { resource_name: 'clouds' }, 'back': { resource_name: 'cloud' }, 'bad': { default_limit: 'x' }, 'empty': {}, 'unknown': { nonsense: 1 }, 'null': { description: null } })) await s.call('PATCH', `${path}/${registered}`, { json: { registered_limit: change }, label })
  await s.call('PATCH', `${path}/${NOBODY}`, { json: { registered_limit: { default_limit: 1 } } })

  s.area('limits')
  await s.call('GET', '/v3/limits/model')
  await s.call('GET', '/v3/limits/model', { as: f.member.token, label: 'as member' })
  const one = { project_id: f.project_id, service_id: ids.service, region_id: ids.region, resource_name: 'cloud', resource_limit: 5 }
  const answer = await s.call('POST', '/v3/limits', { quiet: true, json: { limits: [{ ...one, description: 'mine' }] } })
  const limit = answer.body?.limits?.[0]?.id as string
  s.learn(limit, 'limit')
  const put = (list: unknown, label: string) => s.call('POST', '/v3/limits', { json: { limits: list }, label })
  await put([one], 'again')
  const inDomain = await s.call('POST', '/v3/limits', { quiet: true, json: { limits: [{ ...one, project_id: undefined, domain_id: f.domain_id }] } })
  s.learn(inDomain.body?.limits?.[0]?.id, 'limit of the domain')
  for (const [at, bad] of [{}, { ...one, resource_name: 'nonsense' }, { ...one, project_id: NOBODY }, { ...one, service_id: NOBODY }, { ...one, resource_limit: 'x' }, { ...one, resource_limit: -5 }, { ...one, project_id: undefined }, { ...one, domain_id: f.domain_id }, { ...one, nonsense: 1 }].entries()) await put([bad], `bad ${at}`)
  for (const query of ['', `?project_id=${f.project_id}`, `?domain_id=${f.domain_id}`, '?resource_name=cloud']) await s.call('GET', `/v3/limits${query}`)
  await s.call('GET', '/v3/limits', { as: f.member.token, label: 'as member' })
  await s.call('GET', `/v3/limits/${limit}`)
  await s.call('HEAD', `/v3/limits/${limit}`)
  await s.call('GET', `/v3/limits/${limit}`, { as: f.member.token, label: 'as member' })
  await s.call('GET', `/v3/limits/${limit}`, { as: f.other.token, label: 'as other' })
  await s.call('GET', `/v3/limits/${NOBODY}`)
  for (const [label, change] of Object.entries({ 'amount': { resource_limit: 7 }, 'bad': { resource_limit: 'x' }, 'empty': {}, 'project': { project_id: f.other_project_id }, 'null': { description: null } })) await s.call('PATCH', `/v3/limits/${limit}`, { json: { limit: change }, label })
  await s.call('DELETE', `/v3/registered_limits/${registered}`, { label: 'in use' })
  await s.call('PATCH', `/v3/registered_limits/${registered}`, { json: { registered_limit: { resource_name: 'other' } }, label: 'in use' })
  await s.call('DELETE', `/v3/limits/${limit}`, { as: f.member.token, label: 'as member' })
  await s.call('DELETE', `/v3/limits/${limit}`)
  await s.call('DELETE', `/v3/limits/${limit}`, { label: 'gone' })
  await s.call('DELETE', `/v3/limits/${inDomain.body?.limits?.[0]?.id}`, { quiet: true })
  s.area('registered limits')
  await s.call('DELETE', `/v3/registered_limits/${registered}`)
  await s.call('DELETE', `/v3/registered_limits/${NOBODY}`)
  const left = await s.call('GET', `/v3/registered_limits?service_id=${ids.service}`, { quiet: true })
  for (const { id } of left.body.registered_limits) await s.call('DELETE', `/v3/registered_limits/${id}`, { quiet: true })
}
