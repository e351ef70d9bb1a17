/** The dashboard: who is not signed in signs in; who is sees the page that the address names. */
import { render, type VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { isAdmin, type Session, signOut, switchProject, useSession } from './api/session.ts'
import { useDoing } from './components/hooks.ts'
import { Problem } from './components/notice.tsx'
import { routeOf } from './components/text.ts'
import { Containers, Objects } from './pages/containers.tsx'
import { FloatingIps } from './pages/floating-ips.tsx'
import { Hosts, Hypervisors } from './pages/hosts.tsx'
import { Images } from './pages/images.tsx'
import { Keypairs } from './pages/keypairs.tsx'
import { Networks, Routers } from './pages/networks.tsx'
import { Overview } from './pages/overview.tsx'
import { SecurityGroupRules, SecurityGroups } from './pages/security-groups.tsx'
import { ServerPage } from './pages/server.tsx'
import { Servers } from './pages/servers.tsx'
import { SignIn } from './pages/sign-in.tsx'
import { Volumes } from './pages/volumes.tsx'

interface Page {
  path: string
  label: string
  admin?: boolean
  show(id: string | undefined): VNode
}

const PAGES: Page[] = [
  { path: '', label: 'Overview', show: () => <Overview /> },
  { path: 'servers', label: 'Servers', show: (id) => id === undefined ? <Servers /> : <ServerPage key={id} id={id} /> },
  { path: 'keypairs', label: 'Key pairs', show: () => <Keypairs /> },
  { path: 'images', label: 'Images', show: () => <Images /> },
  { path: 'volumes', label: 'Volumes', show: () => <Volumes /> },
  { path: 'networks', label: 'Networks', show: () => <Networks /> },
  { path: 'routers', label: 'Routers', show: () => <Routers /> },
  { path: 'floating-ips', label: 'Floating IPs', show: () => <FloatingIps /> },
  { path: 'security-groups', label: 'Security groups', show: (id) => id === undefined ? <SecurityGroups /> : <SecurityGroupRules key={id} id={id} /> },
  { path: 'containers', label: 'Containers', show: (name) => name === undefined ? <Containers /> : <Objects key={name} container={name} /> },
  { path: 'hosts', label: 'Hosts', admin: true, show: () => <Hosts /> },
  { path: 'hypervisors', label: 'Hypervisors', admin: true, show: () => <Hypervisors /> },
]

function useRoute(): string[] {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const listener = () => setHash(location.hash)
    addEventListener('hashchange', listener)
    return () => removeEventListener('hashchange', listener)
  }, [])
  // Who came by keyboard goes on from the page's title.
  useEffect(() => document.getElementById('title')?.focus(), [hash])
  return routeOf(hash)
}

function App() {
  const { session, notice } = useSession()
  const [path = '', id] = useRoute()
  const page = PAGES.find((candidate) => candidate.path === path && (candidate.admin !== true || isAdmin()))
  useEffect(() => {
    document.title = session === null ? 'Sign in: Skyhook' : `${page?.label ?? 'Not found'}: Skyhook`
  }, [session === null, page])
  if (session === null) return <SignIn notice={notice} />
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('title')?.focus()}>To the content</button>
      <Bar session={session} />
      <div class="columns">
        <nav aria-label="Pages">
          <ul>{PAGES.filter((entry) => entry.admin !== true || isAdmin()).map((entry) => <li key={entry.path}><a href={`#/${entry.path}`} aria-current={entry === page ? 'page' : undefined}>{entry.label}</a></li>)}</ul>
        </nav>
        <main id="content" key={`${session.project?.id ?? ''} ${path}`}>{page === undefined ? <p class="empty">There is no such page.</p> : page.show(id)}</main>
      </div>
    </>
  )
}

/** The next to sign in here may be another: they begin at the beginning. */
function leave(): void {
  location.hash = '#/'
  void signOut()
}

function Bar({ session }: { session: Session }) {
  const doing = useDoing()
  return (
    <header class="bar">
      <strong>Skyhook</strong>
      <label for="project">Project</label>
      <select id="project" value={session.project?.id} disabled={doing.busy} onChange={(event) => void doing.run(() => switchProject(event.currentTarget.value))}>
        {session.projects.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}
      </select>
      <span class="user">{session.user}</span>
      <button type="button" onClick={leave}>Sign out</button>
      <Problem error={doing.error} />
    </header>
  )
}

const root = document.getElementById('app')
if (root !== null) {
  root.replaceChildren()
  render(<App />, root)
}
