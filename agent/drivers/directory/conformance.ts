/** What every directory driver must do, the fake like the real one. The lab has the people below under `base`, and a user that may search. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { DirectorySearch, DirectoryServer } from '../../../schema/agent/directory.ts'
import { isFault } from '../../../schema/values/fault.ts'
import type { DirectoryDriver } from './driver.ts'

export interface DirectoryLab {
  driver: DirectoryDriver
  server: DirectoryServer
  /** dc=example,dc=org; people in ou=people, groups in ou=groups. */
  base: string
  /** A server that nobody answers at. */
  nowhere: string
  end(): Promise<void>
}

export interface Person {
  uid: string
  cn: string
  mail?: string
  password: string
}

/** Names that are awkward in filters and DNs. */
export const PEOPLE: Person[] = [
  { uid: 'ann', cn: 'Ann Ö. Nymous', mail: 'ann@example.org', password: 'secret of ann' },
  { uid: 'bob', cn: 'Bob (*)', mail: 'bob@example.org', password: 'secret of bob' },
  { uid: 'cat', cn: 'Cat \\ Comma, Ltd', password: 'secret of cat' },
  ...Array.from({ length: 25 }, (_, n) => ({ uid: `user${n}`, cn: `User ${n}`, password: `secret of user${n}` })),
]

export function directoryConformance(name: string, make: () => Promise<DirectoryLab>): void {
  describe(name, () => {
    let lab: DirectoryLab
    before(async () => {
      lab = await make()
    })
    after(async () => {
      await lab?.end()
    })
    const search = (filter: string, more: Partial<DirectorySearch> = {}) => lab.driver.search({ server: lab.server, base: `ou=people,${lab.base}`, scope: 'one', filter, attributes: ['uid', 'cn', 'mail'], limit: 1_000, page_size: 0, ...more })
    const uids = async (filter: string, more: Partial<DirectorySearch> = {}) => (await search(filter, more)).entries.map((entry) => entry.attributes.uid?.[0]).sort()
    const refusal = async (work: Promise<unknown>) => await work.then(() => assert.fail('it was taken'), (error: unknown) => error)

    it('gives entries with the attributes asked for, names in lower case', async () => {
      const { entries, truncated } = await search('(uid=ann)')
      assert.equal(truncated, false)
      assert.deepEqual(entries.map(({ attributes }) => attributes), [{ uid: ['ann'], cn: ['Ann Ö. Nymous'], mail: ['ann@example.org'] }])
      assert.equal(entries[0]?.dn.toLowerCase(), `uid=ann,ou=people,${lab.base}`)
      assert.deepEqual((await search('(uid=ann)', { attributes: ['uid'] })).entries[0]?.attributes, { uid: ['ann'] })
    })
    it('reads filters: and, or, not, presence, substrings, escaped characters', async () => {
      assert.deepEqual(await uids('(&(objectClass=inetOrgPerson)(|(uid=ann)(uid=bob)))'), ['ann', 'bob'])
      assert.deepEqual(await uids('(&(mail=*)(!(uid=ann)))'), ['bob'])
      assert.deepEqual(await uids('(uid=user1*)'), ['user1', 'user10', 'user11', 'user12', 'user13', 'user14', 'user15', 'user16', 'user17', 'user18', 'user19'])
      assert.deepEqual(await uids('(cn=Bob \\28\\2a\\29)'), ['bob'])
      assert.deepEqual(await uids('(cn=*\\5c*)'), ['cat'])
    })
    it('stops at the limit and says so, in pages and without', async () => {
      for (const page_size of [0, 10]) {
        const some = await search('(uid=user*)', { limit: 12, page_size })
        assert.equal(some.entries.length, 12)
        assert.equal(some.truncated, true)
        const all = await search('(uid=user*)', { limit: 25, page_size })
        assert.equal(all.entries.length, 25)
        assert.equal(all.truncated, false)
      }
    })
    it('knows scopes, and has nothing under a base that is not there', async () => {
      assert.deepEqual(await uids('(uid=ann)', { base: lab.base }), [])
      assert.deepEqual(await uids('(uid=ann)', { base: lab.base, scope: 'sub' }), ['ann'])
      assert.deepEqual(await uids('(objectClass=*)', { base: `uid=ann,ou=people,${lab.base}`, scope: 'base' }), ['ann'])
      assert.deepEqual(await uids('(uid=ann)', { base: `ou=nowhere,${lab.base}` }), [])
    })
    it('binds with the right password alone; never with an empty one', async () => {
      const bind = async (dn: string, password: string) => (await lab.driver.bind({ server: lab.server, dn, password })).bound
      const dn = `uid=ann,ou=people,${lab.base}`
      assert.equal(await bind(dn, 'secret of ann'), true)
      for (const [who, password] of [[dn, 'wrong'], [dn, ''], ['', 'secret of ann'], ['', ''], [`uid=nobody,ou=people,${lab.base}`, 'secret of ann'], ['no dn at all', 'x']] as const) assert.equal(await bind(who, password), false, `${who} ${password}`)
    })
    it('says when the directory is away, and when it refuses who searches; never the password', async () => {
      const away = await refusal(search('(uid=ann)', { server: { ...lab.server, urls: [lab.nowhere] } }))
      assert.ok(isFault(away, 'unavailable'))
      assert.ok(isFault(await refusal(lab.driver.bind({ server: { ...lab.server, urls: [lab.nowhere] }, dn: 'cn=x', password: 'secret-canary' })), 'unavailable'))
      const refused = await refusal(search('(uid=ann)', { server: { ...lab.server, password: 'secret-canary' } }))
      assert.ok(isFault(refused, 'bad_gateway'))
      assert.ok(!(refused as Error).message.includes('secret-canary'))
    })
    it('goes on to the next server where the first is away', async () => {
      assert.deepEqual(await uids('(uid=ann)', { server: { ...lab.server, urls: [lab.nowhere, ...lab.server.urls] } }), ['ann'])
    })
  })
}
