/** Who is signed in: the token in this tab's session storage and nowhere else. It goes with the tab, and is revoked on signing out. */
import { useEffect, useState } from 'preact/hooks'
import { ApiError, sentenceOf } from './errors.ts'

export interface Session {
  token: string
  user: string
  userId: string
  project: { id: string; name: string } | null
  roles: string[]
  projects: { id: string; name: string }[]
}

const KEY = 'skyhook.session'
let current: Session | null = read()
/** Why the sign-in page is shown, where that is not plain. */
let notice = ''
const listeners = new Set<() => void>()

function read(): Session | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Session | null
  } catch {
    return null
  }
}

function set(session: Session | null, why = ''): void {
  current = session
  notice = why
  if (session === null) sessionStorage.removeItem(KEY)
  else sessionStorage.setItem(KEY, JSON.stringify(session))
  for (const listener of listeners) listener()
}

export const session = (): Session | null => current
export const isAdmin = (): boolean => current?.roles.includes('admin') ?? false

export function useSession(): { session: Session | null; notice: string } {
  const [, render] = useState(0)
  useEffect(() => {
    const listener = () => render((n) => n + 1)
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }, [])
  return { session: current, notice }
}

interface TokenBody {
  token: { user: { id: string; name: string }; project?: { id: string; name: string }; roles?: { name: string }[] }
}

async function authenticate(identity: unknown, scope: unknown): Promise<{ token: string; body: TokenBody }> {
  const response = await fetch('/identity/v3/auth/tokens', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ auth: { identity, scope } }) })
  const text = await response.text()
  if (!response.ok) throw new ApiError(response.status, sentenceOf(response.status, text), response.headers.get('x-openstack-request-id'))
  return { token: response.headers.get('x-subject-token') ?? '', body: JSON.parse(text) as TokenBody }
}

async function projectsOf(token: string): Promise<{ id: string; name: string }[]> {
  const response = await fetch('/identity/v3/auth/projects', { headers: { 'x-auth-token': token } })
  const text = await response.text()
  if (!response.ok) throw new ApiError(response.status, sentenceOf(response.status, text), response.headers.get('x-openstack-request-id'))
  const { projects } = JSON.parse(text) as { projects: { id: string; name: string; enabled?: boolean }[] }
  return projects.filter((project) => project.enabled !== false).map(({ id, name }) => ({ id, name }))
}

const byToken = (token: string) => ({ methods: ['token'], token: { id: token } })

async function enter(token: string, projects: { id: string; name: string }[], projectId: string): Promise<void> {
  const scoped = await authenticate(byToken(token), { project: { id: projectId } })
  const { user, project, roles } = scoped.body.token
  set({ token: scoped.token, user: user.name, userId: user.id, project: project ?? null, roles: (roles ?? []).map((role) => role.name), projects })
}

/** The password goes to Keystone and is forgotten here. The first project by name is entered; another can be chosen at any time. */
export async function signIn({ domain, name, password, passcode }: { domain: string; name: string; password: string; passcode: string }): Promise<void> {
  const user = { name, domain: { name: domain } }
  const second = passcode === '' ? {} : { totp: { user: { ...user, passcode } } }
  const unscoped = await authenticate({ methods: ['password', ...Object.keys(second)], password: { user: { ...user, password } }, ...second }, 'unscoped')
  const projects = (await projectsOf(unscoped.token)).sort((a, b) => a.name.localeCompare(b.name))
  const first = projects.find((project) => project.name === name) ?? projects[0]
  if (first === undefined) throw new ApiError(403, 'You have no role in any project. Ask an administrator for one.', null)
  await enter(unscoped.token, projects, first.id)
}

export async function switchProject(id: string): Promise<void> {
  if (current !== null) await enter(current.token, current.projects, id)
}

/** The token is worth nothing afterwards, whoever has it. */
export async function signOut(why = ''): Promise<void> {
  const before = current
  set(null, why)
  if (before !== null && why === '') await fetch('/identity/v3/auth/tokens', { method: 'DELETE', headers: { 'x-auth-token': before.token, 'x-subject-token': before.token } }).catch(() => {})
}
