/** S37: clients that go away in the middle of transfers leave no file, stream or memory, with the shipped plane and a real agent. bench/object-disconnects.ts does it 100,000 times. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DisconnectLab } from '../support/disconnects.ts'

const CLIENTS = 2_000
const AT_ONCE = 16
/** What a process may keep of connections that it has in stock. */
const FDS_SLACK = 12
const RSS_SLACK_MIB = 64

test(`S37: ${CLIENTS} clients that go away in the middle of transfers leave nothing open, half written or in memory`, async () => {
  const lab = await DisconnectLab.start()
  try {
    await lab.many(0, 600, AT_ONCE)
    const before = await lab.quiet(null)
    await lab.many(600, CLIENTS, AT_ONCE)
    const after = await lab.quiet({ ...before, workerd_fds: before.workerd_fds + FDS_SLACK, agent_fds: before.agent_fds + FDS_SLACK })
    const told = JSON.stringify({ before, after, served: lab.served })
    assert.ok(lab.served.answers > CLIENTS / 2 && lab.served.uploads > CLIENTS / 4 && lab.served.silent === 0, told)
    assert.equal(after.object_files_open, 0, told)
    assert.equal(after.temporary_files, 0, told)
    assert.ok(after.workerd_fds <= before.workerd_fds + FDS_SLACK && after.agent_fds <= before.agent_fds + FDS_SLACK, told)
    assert.ok(after.workerd_rss_mib <= before.workerd_rss_mib + RSS_SLACK_MIB && after.agent_rss_mib <= before.agent_rss_mib + RSS_SLACK_MIB, told)
    console.log(told)
  } finally {
    await lab.end()
  }
})
