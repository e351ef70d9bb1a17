/** The LDAP driver against a real OpenLDAP server. */
import { directoryConformance } from '../../agent/drivers/directory/conformance.ts'
import { createLdapDirectoryDriver } from '../../agent/drivers/directory/ldap/index.ts'
import { BASE, MANAGER, runSlapd } from '../support/slapd.ts'
import { freePort } from '../support/shipped.ts'

directoryConformance('OpenLDAP', async () => {
  const slapd = await runSlapd()
  const server = { urls: [slapd.url], start_tls: false, verify: true, ca_file: null, user: MANAGER.dn, password: MANAGER.password }
  return { driver: createLdapDirectoryDriver(), server, base: BASE, nowhere: `ldap://127.0.0.1:${await freePort()}`, end: () => slapd.stop() }
})
