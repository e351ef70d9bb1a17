/**
 * Runs the script against a real Keystone and against Skyhook and says where they differ and nobody has explained it. See README.md.
 *
 *   node test/diff/identity.ts --peer http://127.0.0.1:5000 --peer-password PW [--ours http://127.0.0.1:8787/identity --ours-password PW] [--record] [--show PATTERN]
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runProvider } from '../support/oidc.ts'
import { type Recording, compare, judge } from './compare.ts'
import { RECORDED, explained, record, recorded, remote } from './recording.ts'

async function main(): Promise<void> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { peer: text, 'peer-password': text, ours: text, 'ours-password': text, record: { type: 'boolean' }, show: text } })
  const run = Date.now().toString(36)
  const peer = values.peer ?? process.env.PEER_URL
  const theirs = peer === undefined ? recorded() : await record(remote(peer, values['peer-password'] ?? process.env.PEER_PASSWORD ?? ''), run)
  if (values.record) writeFileSync(RECORDED, `{\n${Object.entries(theirs).map(([step, answer]) => `${JSON.stringify(step)}: ${JSON.stringify(answer)}`).join(',\n')}\n}\n`)
  const own = values.ours ?? process.env.OURS_URL
  let ours: Recording
  if (own !== undefined) {
    const provider = await runProvider()
    ours = await record(remote(own, values['ours-password'] ?? process.env.OURS_PASSWORD ?? '', provider), run).finally(() => provider.close())
  } else {
    const { inProcess } = await import('./in-process.ts')
    ours = await inProcess(run)
  }
  const differences = compare(theirs, ours)
  const { unexplained, idle } = judge(differences, explained())
  const show = values.show
  for (const { step, field, theirs: a, ours: b } of unexplained.filter((each) => show === undefined || `${each.step} ${each.field}`.includes(show))) console.log(`${step}\n    ${field}\n      keystone ${JSON.stringify(a)}\n      skyhook  ${JSON.stringify(b)}`)
  for (const { step, field } of idle) console.log(`explains nothing: ${step} ${field}`)
  console.log(`${Object.keys(theirs).length} steps, ${differences.length} differences, ${unexplained.length} unexplained`)
  process.exitCode = unexplained.length + idle.length === 0 ? 0 : 1
}

await main()
