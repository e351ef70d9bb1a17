/** Preload (`node --import`): lets object code run in Node by answering `cloudflare:workers` with test/support/platform/workers.ts. */
import { registerHooks } from 'node:module'

const shim = new URL('./platform/workers.ts', import.meta.url).href

registerHooks({
  resolve: (specifier, context, next) => (specifier === 'cloudflare:workers' ? { url: shim, shortCircuit: true } : next(specifier, context)),
})
