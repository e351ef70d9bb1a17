/** Skyhook in this process as one side of the comparison: needs test/support/register.ts, which main and the test load. */
import { ADMIN_PASSWORD, identityCloud } from '../api/identity/support.ts'
import { ORIGIN } from '../support/cloud.ts'
import { runProvider } from '../support/oidc.ts'
import type { Recording } from './compare.ts'
import { byProvider, record } from './recording.ts'

export async function inProcess(run: string): Promise<Recording> {
  const cloud = identityCloud({ identity: { federation: { loopback_issuers: true } } })
  const provider = await runProvider()
  try {
    return await record(
      {
        root: `${ORIGIN}/identity`, password: ADMIN_PASSWORD, settle_ms: 0,
        provider: (side, protocol) => byProvider(side, protocol, provider),
        send: async (method, path, headers, body) => {
          const answer = await cloud.call(method, `/identity${path}`, { headers, ...(body === undefined ? {} : { body }) })
          // The platform sends no body with these; the Worker alone may have made one.
          return method === 'HEAD' ? { ...answer, text: '' } : answer
        },
      },
      run,
    )
  } finally {
    cloud.close()
    await provider.close()
  }
}
