/** The workerd configuration of the single-machine mode, as text: the shipped bundle with its objects on local disk, and a second process for password hashing. Pure. */
export interface WorkerdConfig {
  /** Paths are relative to the config file's folder where workerd embeds them. */
  bundle: string
  listen: string
  objects_dir: string
  hasher_socket: string
  compatibility_date: string
  vars: Record<string, string>
  /** PEM of authorities that are trusted beside the public ones: an identity provider on site may have its certificate from one's own. */
  authorities: string[]
}

export const OBJECT_CLASSES: Record<string, string> = {
  IDENTITY: 'IdentityObject', PROJECT: 'ProjectObject', REGION: 'RegionObject', HOST: 'HostObject', RING: 'RingObject', ACCOUNT: 'AccountObject', CONTAINER: 'ContainerObject',
}

/** A small machine's plane: less memory for a little more collecting. */
export const V8_FLAGS = ['--max-semi-space-size=1']

const quote = (text: string) => JSON.stringify(text)

export function planeConfig(config: WorkerdConfig): string {
  const namespaces = Object.values(OBJECT_CLASSES).map((name) => `    (className = ${quote(name)}, uniqueKey = ${quote(name)}, enableSql = true),`)
  const bindings = [
    ...Object.entries(OBJECT_CLASSES).map(([name, className]) => `    (name = ${quote(name)}, durableObjectNamespace = ${quote(className)}),`),
    '    (name = "HASHER", service = "hasher"),',
    ...Object.entries(config.vars).map(([name, value]) => `    (name = ${quote(name)}, text = ${quote(value)}),`),
  ]
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  v8Flags = [${V8_FLAGS.map(quote).join(', ')}],
  services = [
    (name = "plane", worker = .plane),
    (name = "objects", disk = (path = ${quote(config.objects_dir)}, writable = true)),
    (name = "hasher", external = (address = ${quote(`unix:${config.hasher_socket}`)}, http = ())),
    (name = "internet", network = (allow = ["public", "private", "local"], tlsOptions = (trustBrowserCas = true, trustedCertificates = [${config.authorities.map(quote).join(', ')}]))),
  ],
  sockets = [(name = "http", address = ${quote(config.listen)}, http = (), service = "plane")],
);

const plane :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed ${quote(config.bundle)})],
  compatibilityDate = ${quote(config.compatibility_date)},
  durableObjectNamespaces = [
${namespaces.join('\n')}
  ],
  durableObjectStorage = (localDisk = "objects"),
  bindings = [
${bindings.join('\n')}
  ],
);
`
}

export function hasherConfig(config: { bundle: string; socket: string; compatibility_date: string }): string {
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  v8Flags = [${V8_FLAGS.map(quote).join(', ')}],
  services = [(name = "hasher", worker = (
    modules = [(name = "hasher", esModule = embed ${quote(config.bundle)})],
    compatibilityDate = ${quote(config.compatibility_date)},
  ))],
  sockets = [(name = "hasher", address = ${quote(`unix:${config.socket}`)}, http = (), service = "hasher")],
);
`
}
