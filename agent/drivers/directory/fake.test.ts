import { PEOPLE, directoryConformance } from './conformance.ts'
import { createFakeDirectory, createFakeDirectoryDriver } from './fake.ts'

directoryConformance('fake directory', async () => {
  const base = 'dc=example,dc=org'
  const directory = createFakeDirectory()
  directory.entries.push({ dn: `cn=admin,${base}`, attributes: {}, password: 'admin' }, { dn: `ou=people,${base}`, attributes: { ou: ['people'] } })
  for (const { uid, cn, mail, password } of PEOPLE) directory.entries.push({ dn: `uid=${uid},ou=people,${base}`, password, attributes: { objectclass: ['inetOrgPerson'], uid: [uid], cn: [cn], ...(mail === undefined ? {} : { mail: [mail] }) } })
  const server = { urls: [directory.url], start_tls: false, verify: true, ca_file: null, user: `cn=admin,${base}`, password: 'admin' }
  return { driver: createFakeDirectoryDriver(directory), server, base, nowhere: 'ldap://nowhere.test', end: async () => {} }
})
