/** The whole script, in order. */
import type { Side } from '../side.ts'
import { catalog } from './catalog.ts'
import { applicationCredentials, clearing, credentials, domainConfig, revocationEvents, trusts } from './delegation.ts'
import { federation } from './federation.ts'
import { furnish } from './furniture.ts'
import { oauth1 } from './oauth1.ts'
import { domains, groups, projects, users } from './resources.ts'
import { grants, roles } from './roles.ts'
import { signatures } from './signatures.ts'
import { discovery, tokens } from './start.ts'

export async function script(s: Side): Promise<void> {
  await discovery(s)
  const f = await furnish(s)
  for (const area of [tokens, domains, projects, users, groups, roles, grants, catalog, credentials, applicationCredentials, trusts, domainConfig, oauth1, signatures, federation, revocationEvents, clearing]) await area(s, f)
}
