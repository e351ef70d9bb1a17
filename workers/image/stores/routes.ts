/** What the image service offers: import methods, stores, usage against quota; and deleting an image from one store. */
import { route } from '../../http/route.ts'
import { storesNow } from '../bytes.ts'
import { locate } from '../locate.ts'

/** Only what works; web-download waits for the rules against requests into our own networks. */
export const IMPORT_METHODS = ['glance-direct', 'copy-image'] as const

export const routes = [
  route({
    method: 'GET',
    path: '/v2/info/import',
    policy: 'get_images',
    handle: () => ({ 'import-methods': { description: 'Import methods available.', type: 'array', value: IMPORT_METHODS } }),
  }),
  route({
    method: 'GET',
    path: '/v2/info/stores',
    policy: 'get_images',
    handle: async (ctx) => ({ stores: (await storesNow(ctx.env, ctx.requestId)).map((store) => (store.default ? { ...store, default: 'true' } : store)) }),
  }),
  route({
    method: 'GET',
    path: '/v2/info/stores/detail',
    policy: 'stores_info_detail',
    handle: async (ctx) => ({ stores: (await storesNow(ctx.env, ctx.requestId)).map((store) => ({ ...store, ...(store.default ? { default: 'true' } : {}), type: store.id === 'object' ? 'swift' : 'file', weight: 0, properties: {} })) }),
  }),
  route({
    method: 'GET',
    path: '/v2/info/usage',
    policy: 'get_images',
    handle: async (ctx) => ({ usage: Object.fromEntries((await ctx.project.image.images.usage()).map(({ resource, limit, usage }) => [resource, { limit, usage }])) }),
  }),
  route({
    method: 'DELETE',
    path: '/v2/stores/:store/:id',
    policy: 'delete_image_location',
    handle: async (ctx) => {
      const { image, store } = await locate(ctx, decodeURIComponent(ctx.params.id ?? ''))
      await store.deleteFromStore(image.id, decodeURIComponent(ctx.params.store ?? ''))
    },
  }),
]
