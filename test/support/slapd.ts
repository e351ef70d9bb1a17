/** A real OpenLDAP server on loopback, in a folder of its own, with the people of the conformance suite. Needs Debian's slapd and root. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'ldapts'
import { type Person, PEOPLE } from '../../agent/drivers/directory/conformance.ts'
import { freePort } from './shipped.ts'

export const BASE = 'dc=example,dc=org'
export const MANAGER = { dn: `cn=admin,${BASE}`, password: 'the-manager' }
const GROUPS: Record<string, string[]> = { developers: ['ann', 'bob'], 'ops (*)': ['bob'] }

export interface Slapd {
  url: string
  client(): Promise<Client>
  stop(): Promise<void>
}

const schemaOf = (name: string) => `include /etc/ldap/schema/${name}.schema`

async function fill(client: Client): Promise<void> {
  await client.add(BASE, { objectClass: ['dcObject', 'organization'], dc: 'example', o: 'Example' })
  for (const ou of ['people', 'groups']) await client.add(`ou=${ou},${BASE}`, { objectClass: 'organizationalUnit', ou })
  for (const { uid, cn, mail, password } of PEOPLE as Person[]) {
    await client.add(`uid=${uid},ou=people,${BASE}`, { objectClass: ['inetOrgPerson'], uid, cn, sn: cn, userPassword: password, employeeType: 'TRUE', ...(mail === undefined ? {} : { mail }) })
  }
  for (const [cn, members] of Object.entries(GROUPS)) await client.add(`cn=${cn},ou=groups,${BASE}`, { objectClass: ['groupOfNames'], cn, ou: cn, description: `All ${cn}`, member: members.map((uid) => `uid=${uid},ou=people,${BASE}`) })
}

export async function runSlapd(): Promise<Slapd> {
  const dir = mkdtempSync(join(tmpdir(), 'skyhook-slapd-'))
  mkdirSync(join(dir, 'db'))
  const port = await freePort()
  const url = `ldap://127.0.0.1:${port}`
  writeFileSync(join(dir, 'slapd.conf'), [
    ...['core', 'cosine', 'inetorgperson'].map(schemaOf), 'modulepath /usr/lib/ldap', 'moduleload back_mdb', `pidfile ${dir}/slapd.pid`, 'sizelimit 20', 'database mdb', 'maxsize 67108864', `suffix "${BASE}"`, `rootdn "${MANAGER.dn}"`, `rootpw ${MANAGER.password}`,
    `directory ${dir}/db`, 'access to attrs=userPassword by anonymous auth by * none', 'access to * by users read by * none', '',
  ].join('\n'))
  const child: ChildProcess = spawn('/usr/sbin/slapd', ['-d', '0', '-f', join(dir, 'slapd.conf'), '-h', url], { stdio: 'ignore' })
  const client = async () => {
    const made = new Client({ url })
    await made.bind(MANAGER.dn, MANAGER.password)
    return made
  }
  for (let tries = 0; ; tries++) {
    try {
      const first = await client()
      await fill(first)
      await first.unbind()
      break
    } catch (error) {
      if (tries > 100 || child.exitCode !== null) throw new Error(`slapd did not start: ${String(error)} ${spawnSync('/usr/sbin/slaptest', ['-f', join(dir, 'slapd.conf')], { encoding: 'utf8' }).stderr}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  return {
    url, client,
    stop: () =>
      new Promise((resolve) => {
        child.once('close', () => {
          rmSync(dir, { recursive: true, force: true })
          resolve()
        })
        child.kill('SIGTERM')
      }),
  }
}
