/** `skyhook import keystone FILE`: brings domains, projects, users with their passwords, groups, roles and assignments of a Keystone over; again is harmless. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { ImportRequest } from '../../workers/identity/import/requests.ts'
import { Api } from '../lib/api.ts'
import { homeOf, runningSupervisor, secretsOf } from '../lib/home.ts'
import { carry, parseDump, planOf } from '../lib/keystone-dump.ts'
import { Problem } from '../lib/problem.ts'

export async function run(args: string[]): Promise<number> {
  const { positionals, values } = parseArgs({ args, allowPositionals: true, options: { url: { type: 'string' } } })
  const [what, file] = positionals
  if (what !== 'keystone' || file === undefined || positionals.length > 2) throw new Problem('import takes: keystone FILE [--url URL] (docs/import-keystone.md says what is in FILE).')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new Problem(`${file} cannot be read: ${(error as Error).message}`)
  }
  const plan = planOf(parseDump(text))
  const api = apiOf(values.url)
  const tallies = await carry(plan, async (batch: ImportRequest) => (await api.call('POST', '/identity/skyhook/import', batch)).results, (note) => console.log(note))
  for (const [kind, { made, kept, mapped, refused }] of tallies) console.log(`${kind.replace('_', ' ').padEnd(13)} ${made} made, ${kept} kept, ${mapped} there by name, ${refused} refused`)
  for (const left of plan.left) console.log(`left out: ${left}`)
  return [...tallies.values()].some((tally) => tally.refused > 0) ? 1 : 0
}

/** The cloud of this home, or another one whose admin's password is in the environment. */
function apiOf(url: string | undefined): Api {
  if (url !== undefined) {
    const password = process.env.SKYHOOK_ADMIN_PASSWORD
    if (!password) throw new Problem('with --url the password of the admin is read from SKYHOOK_ADMIN_PASSWORD.')
    return new Api(url.replace(/\/$/, ''), password)
  }
  const home = homeOf()
  const state = runningSupervisor(home)
  if (state === null) throw new Problem('it is not running (npm start).')
  return new Api(state.url, secretsOf(home).admin_password)
}
