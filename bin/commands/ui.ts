/** `skyhook ui`: makes the dashboard's files; called by wrangler before it bundles. */
import { buildUi } from '../lib/ui.ts'

export async function run(): Promise<number> {
  buildUi()
  return 0
}
