/**
 * Preload (`node --import`): lets object code run in Node by answering `cloudflare:workers` with test/support/platform/workers.ts. The Worker imports the
 * dashboard's files: they are made where they are not there or old.
 */
import { registerHooks } from 'node:module'
import { buildUi } from '../../bin/lib/ui.ts'

buildUi()

const shim = new URL('./platform/workers.ts', import.meta.url).href

registerHooks({
  resolve: (specifier, context, next) => (specifier === 'cloudflare:workers' ? { url: shim, shortCircuit: true } : next(specifier, context)),
})
