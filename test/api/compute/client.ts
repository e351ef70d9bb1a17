/** A small client of compute for these tests: calls under virtual time, waits for states, and makes what a server needs. */
import assert from 'node:assert/strict'
import type { Answer } from '../../support/cloud.ts'
import type { SimCloud } from '../../sim/simcloud.ts'

// biome-ignore lint/suspicious/noExplicitAny: bodies are what a test asserts.
type Json = any

export class Compute {
  readonly sim: SimCloud
  readonly tenant: string
  minor = 1
  imageId = ''
  networkId = ''

  constructor(sim: SimCloud, tenant: string) {
    this.sim = sim
    this.tenant = tenant
  }

  call(method: string, path: string, json?: unknown, options: { minor?: number; tenant?: string; headers?: Record<string, string>; body?: BodyInit } = {}): Promise<Answer> {
    const headers = { ...(path.startsWith('/compute') ? { 'openstack-api-version': `compute 2.${options.minor ?? this.minor}` } : {}), ...options.headers }
    return this.sim.finish(this.sim.call(options.tenant ?? this.tenant, method, path, json, { headers, ...(options.body === undefined ? {} : { body: options.body }) }))
  }

  async ok(method: string, path: string, json?: unknown, options: Parameters<Compute['call']>[3] = {}): Promise<Json> {
    const answer = await this.call(method, path, json, options)
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
    return answer.body
  }

  async fails(status: number, text: RegExp, method: string, path: string, json?: unknown, options: Parameters<Compute['call']>[3] = {}): Promise<void> {
    const answer = await this.call(method, path, json, options)
    assert.equal(answer.status, status, `${method} ${path}: ${answer.status} ${answer.text}`)
    assert.match(answer.text, text)
  }

  /** A network with a subnet and an active image. */
  async prepare(): Promise<void> {
    this.networkId = (await this.ok('POST', '/network/v2.0/networks', { network: { name: 'net' } })).network.id
    await this.ok('POST', '/network/v2.0/subnets', { subnet: { network_id: this.networkId, ip_version: 4, cidr: '10.9.0.0/24' } })
    this.imageId = (await this.ok('POST', '/image/v2/images', { name: 'img', disk_format: 'raw', container_format: 'bare' })).id
    await this.ok('PUT', `/image/v2/images/${this.imageId}/file`, undefined, { body: new Uint8Array(4096), headers: { 'content-type': 'application/octet-stream' } })
  }

  bootBody(name: string, change: object = {}): object {
    return { server: { name, flavorRef: '1', imageRef: this.imageId, networks: [{ uuid: this.networkId }], ...change } }
  }

  async create(name: string, change: object = {}, options: Parameters<Compute['call']>[3] = {}): Promise<string> {
    return (await this.ok('POST', '/compute/v2.1/servers', this.bootBody(name, change), options)).server.id
  }

  async boot(name: string, change: object = {}, options: Parameters<Compute['call']>[3] = {}): Promise<string> {
    const id = await this.create(name, change, options)
    await this.status(id, 'ACTIVE')
    return id
  }

  async server(id: string, minor = this.minor): Promise<Json> {
    return (await this.ok('GET', `/compute/v2.1/servers/${id}`, undefined, { minor })).server
  }

  action(id: string, body: object, options: Parameters<Compute['call']>[3] = {}): Promise<Json> {
    return this.ok('POST', `/compute/v2.1/servers/${id}/action`, body, options)
  }

  /** Until the status is this one and no task runs. */
  async status(id: string, wanted: string, limit_ms = 120_000): Promise<Json> {
    let server: Json = null
    for (let waited = 0; waited <= limit_ms; waited += 500) {
      server = await this.server(id)
      if (server.status === wanted && server['OS-EXT-STS:task_state'] === null) return server
      await this.sim.run(500)
    }
    assert.fail(`server is ${server?.status} (${server?.['OS-EXT-STS:task_state']}), not ${wanted}: ${JSON.stringify(server?.fault)}`)
  }

  async gone(id: string, limit_ms = 60_000): Promise<void> {
    for (let waited = 0; waited <= limit_ms; waited += 500) {
      if ((await this.call('GET', `/compute/v2.1/servers/${id}`)).status === 404) return
      await this.sim.run(500)
    }
    assert.fail('the server is still there')
  }

  async until(what: string, look: () => Promise<boolean>, limit_ms = 60_000): Promise<void> {
    for (let waited = 0; waited <= limit_ms; waited += 500) {
      if (await look()) return
      await this.sim.run(500)
    }
    assert.fail(`never: ${what}`)
  }
}
