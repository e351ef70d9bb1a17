/** `skyhook verify`: the invariants of DESIGN on the running cloud; non-zero with what it found. */
import { Api } from '../lib/api.ts'
import { homeOf, runningSupervisor, secretsOf } from '../lib/home.ts'
import { Problem } from '../lib/problem.ts'

export async function run(_args: string[]): Promise<number> {
  const home = homeOf()
  const state = runningSupervisor(home)
  if (state === null) throw new Problem('it is not running (npm start).')
  const report = await new Api(state.url, secretsOf(home).admin_password).call('GET', '/agents/v1/verify')
  for (const violation of report.violations) console.log(`VIOLATION ${violation.invariant}: ${violation.resource}${violation.project_id === null ? '' : ` (project ${violation.project_id})`}: ${violation.message}`)
  for (const orphan of report.orphans) console.log(`orphan on ${orphan.host}: ${orphan.kind} ${orphan.id} (nobody asked for it; it is left alone)`)
  for (const object of report.degraded) console.log(`degraded ${object.resource}: ${object.copies} of ${object.wanted} copies${object.extra > 0 ? `, ${object.extra} on devices that only keep it for others` : ''}${object.unreachable > 0 ? `, ${object.unreachable} devices could not be asked` : ''} (the replicator's work; no violation yet)`)
  console.log(`${report.checked.projects} projects, ${report.checked.hosts} hosts, ${report.checked.items} items checked: ${report.ok ? 'all invariants hold' : `${report.violations.length} violations`}`)
  return report.ok ? 0 : 1
}
