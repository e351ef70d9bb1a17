/** Tasks: the imports of an image, and all of a tenant's for admins. */
import { Fault } from '../../../schema/values/fault.ts'
import { route } from '../../http/route.ts'
import { taskView } from '../images/views.ts'
import { everyProject, locate } from '../locate.ts'

export const routes = [
  route({
    method: 'GET',
    path: '/v2/images/:id/tasks',
    policy: 'get_image',
    handle: async (ctx) => {
      const { image } = await locate(ctx, decodeURIComponent(ctx.params.id ?? ''))
      return { tasks: image.tasks.map((task) => taskView(image, task)) }
    },
  }),
  route({
    method: 'GET',
    path: '/v2/tasks',
    policy: 'tasks_api_access',
    handle: async (ctx) => {
      const images = (await everyProject(ctx, (id) => ctx.projectById(id).image.images.list())).flat()
      return { tasks: images.flatMap((image) => image.tasks.map((task) => taskView(image, task))), first: '/v2/tasks', schema: '/v2/schemas/tasks' }
    },
  }),
  route({
    method: 'GET',
    path: '/v2/tasks/:id',
    policy: 'tasks_api_access',
    handle: async (ctx) => {
      for (const image of (await everyProject(ctx, (id) => ctx.projectById(id).image.images.list())).flat()) {
        const task = image.tasks.find((entry) => entry.id === ctx.params.id)
        if (task !== undefined) return taskView(image, task)
      }
      throw new Fault('not_found', `Failed to find task ${ctx.params.id}`)
    },
  }),
]
