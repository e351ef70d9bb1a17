/** /v3/domains/{id}/config, and the defaults of its options. */
import * as v from 'valibot'
import { Fault } from '../../../schema/values/fault.ts'
import type { Context } from '../../http/context.ts'
import type { PolicyRule } from '../../http/policy.ts'
import { type Route, reply, route } from '../../http/route.ts'
import { param, realmOf } from '../kernel/http.ts'
import { identityOptions } from '../kernel/options.ts'
import { DOMAIN_OPTIONS } from './options.ts'
import type { Config } from './store.ts'

const body = v.object({ config: v.record(v.string(), v.unknown()) })
const BASE = '/v3/domains/:domain_id/config'
const names = (ctx: Context) => [ctx.params.group === undefined ? undefined : param(ctx, 'group'), ctx.params.option === undefined ? undefined : param(ctx, 'option')] as const

function defaults(ctx: Context): unknown {
  const [group, option] = names(ctx)
  if (group === undefined) return { config: DOMAIN_OPTIONS }
  const options = DOMAIN_OPTIONS[group]
  if (options === undefined) throw new Fault('forbidden', `Invalid domain specific configuration: Group ${group} is not supported for domain specific configurations.`)
  if (option === undefined) return { config: { [group]: options } }
  if (!(option in options)) throw new Fault('forbidden', `Invalid domain specific configuration: Option ${option} in group ${group} is not supported for domain specific configurations.`)
  return { config: { [option]: options[option] } }
}

async function show(ctx: Context): Promise<unknown> {
  const [group, option] = names(ctx)
  const config = await realmOf(ctx).domainConfig.get(param(ctx, 'domain_id'), group, option)
  return { config: option === undefined ? config : config[group ?? ''] }
}

/** The body has the shape of its path: groups of options, or one option alone. */
async function patch(ctx: Context): Promise<unknown> {
  const [group, option] = names(ctx)
  const given = ctx.body.config as Record<string, unknown>
  const config = (option === undefined ? given : { [group ?? '']: given }) as Config
  const foreign = Object.keys(config).find((name) => group !== undefined && name !== group)
  if (foreign !== undefined || Object.values(config).some((options) => typeof options !== 'object' || options === null)) throw new Fault('forbidden', `Invalid domain specific configuration: the body must have the group ${group} and its options.`)
  if (option !== undefined && !(option in given)) throw new Fault('forbidden', `Invalid domain specific configuration: the body must have the option ${option}.`)
  return { config: await realmOf(ctx).domainConfig.update(param(ctx, 'domain_id'), config, group, option) }
}

function compliance(ctx: Context): Record<string, unknown> {
  if (param(ctx, 'domain_id') !== 'default') throw new Fault('forbidden', 'Invalid domain specific configuration: Reading security compliance information for any domain other than the default domain is not allowed or supported..')
  const { password_regex, password_regex_description } = identityOptions(ctx.env)
  return { password_regex: password_regex || null, password_regex_description: password_regex_description || null }
}

const levels = (tail = '') => [`${BASE}${tail}`, `${BASE}/:group${tail}`, `${BASE}/:group/:option${tail}`]

export const domainConfigRoutes: Route[] = [
  route({ method: 'GET', path: '/v3/domains/config/default', policy: 'identity:get_domain_config_default', handle: defaults }),
  route({ method: 'GET', path: '/v3/domains/config/:group/default', policy: 'identity:get_domain_config_default', handle: defaults }),
  route({ method: 'GET', path: '/v3/domains/config/:group/:option/default', policy: 'identity:get_domain_config_default', handle: defaults }),
  route({ method: 'GET', path: `${BASE}/security_compliance`, policy: 'identity:get_security_compliance_domain_config', handle: (ctx) => ({ config: { security_compliance: compliance(ctx) } }) }),
  route({
    method: 'GET', path: `${BASE}/security_compliance/:option`, policy: 'identity:get_security_compliance_domain_config',
    handle: (ctx) => {
      const option = param(ctx, 'option')
      const values = compliance(ctx)
      if (!(option in values)) throw new Fault('forbidden', 'Invalid domain specific configuration: Reading security compliance values other than password_regex and password_regex_description is not allowed..')
      return { config: { [option]: values[option] } }
    },
  }),
  route({
    method: 'PUT', path: BASE, policy: 'identity:create_domain_config', body,
    handle: async (ctx) => {
      const fresh = await realmOf(ctx).domainConfig.replace(param(ctx, 'domain_id'), ctx.body.config as Config)
      return reply({ status: fresh ? 201 : 200, body: { config: await realmOf(ctx).domainConfig.get(param(ctx, 'domain_id')) } })
    },
  }),
  ...levels().flatMap((path) => [
    route({ method: 'GET', path, policy: 'identity:get_domain_config', handle: show }),
    route({ method: 'PATCH', path, policy: 'identity:update_domain_config', body, handle: patch }),
    route({ method: 'DELETE', path, policy: 'identity:delete_domain_config', handle: async (ctx) => await realmOf(ctx).domainConfig.delete(param(ctx, 'domain_id'), ...names(ctx)) }),
  ]),
]

const READ = 'role:admin or (role:reader and system_scope:all)'
export const domainConfigPolicies: PolicyRule[] = [
  { name: 'identity:get_domain_config', check: READ },
  { name: 'identity:get_domain_config_default', check: READ },
  { name: 'identity:get_security_compliance_domain_config', check: '@' },
  ...['create_domain_config', 'update_domain_config', 'delete_domain_config'].map((name) => ({ name: `identity:${name}`, check: 'role:admin' })),
]
