/** One server: what it is, its consoles and log, its volumes, and what was done to it. */
import { get, post, remove } from '../api/client.ts'
import { useState } from 'preact/hooks'
import { useDeeds } from '../components/deeds.tsx'
import { useDoing, useLoad } from '../components/hooks.ts'
import { Done, Problem } from '../components/notice.tsx'
import { Id, Link, Status, Time } from '../components/show.tsx'
import { addressesOf, openConsole, type Server, serverDeeds } from './servers.tsx'

const LOG_LINES = 200

interface Action {
  action: string
  request_id: string
  start_time: string
  message: string | null
}

interface Whole {
  server: Server
  attachments: { volumeId: string; device: string }[]
  actions: Action[]
}

async function load(id: string): Promise<Whole> {
  const path = `/compute/v2.1/servers/${encodeURIComponent(id)}`
  const [{ server }, { volumeAttachments }, { instanceActions }] = await Promise.all([
    get<{ server: Server }>(path), get<{ volumeAttachments: { volumeId: string; device: string }[] }>(`${path}/os-volume_attachments`), get<{ instanceActions: Action[] }>(`${path}/os-instance-actions`),
  ])
  return { server, attachments: volumeAttachments, actions: instanceActions }
}

/** Consoles have their own place on this page; from one that is deleted there is nothing more to see. */
const deeds = serverDeeds.filter(({ label }) => label !== 'Console').map((deed) => deed.label !== 'Delete' ? deed : {
  ...deed,
  run: async (...args: Parameters<typeof deed.run>) => {
    await deed.run(...args)
    location.hash = '#/servers'
  },
})

export function ServerPage({ id }: { id: string }) {
  const { data, error, reload } = useLoad(() => load(id), `server ${id}`, 3_000)
  const doing = useDeeds<Server>(deeds, (server) => server.id, (server) => server.name, reload)
  if (data === null) return error === null ? <p class="empty">Loading …</p> : <Problem error={error} />
  const { server, attachments, actions } = data
  return (
    <section aria-labelledby="title">
      <p class="trail"><Link to="/servers">Servers</Link></p>
      <h1 id="title" tabIndex={-1}>{server.name}</h1>
      <Problem error={error} />
      <div class="buttons">{doing.buttons(server)}</div>
      {doing.panel}
      <Facts server={server} />
      <Consoles id={id} running={server.status === 'ACTIVE' || server.status === 'PAUSED'} />
      <h2>Volumes</h2>
      {attachments.length === 0 ? <p class="empty">None is attached.</p> : <Attachments server={id} rows={attachments} reload={reload} />}
      <h2>What was done</h2>
      <div class="scroll">
        <table>
          <caption class="unseen">Actions on this server</caption>
          <thead><tr><th scope="col">Action</th><th scope="col">When</th><th scope="col">Request</th><th scope="col">Message</th></tr></thead>
          <tbody>{actions.map((action) => <tr key={action.request_id}><th scope="row">{action.action}</th><td><Time value={action.start_time} /></td><td><code>{action.request_id}</code></td><td>{action.message ?? ''}</td></tr>)}</tbody>
        </table>
      </div>
    </section>
  )
}

function Facts({ server }: { server: Server }) {
  return (
    <>
      {server.fault !== undefined && <div class="notice problem"><p>{server.fault.message}</p></div>}
      <dl>
        <dt>Status</dt><dd><Status value={server.status} /> {server['OS-EXT-STS:task_state'] ?? ''}</dd>
        <dt>Id</dt><dd><code>{server.id}</code></dd>
        <dt>Addresses</dt><dd>{addressesOf(server).join(', ') || '–'}</dd>
        <dt>Flavor</dt><dd>{server.flavor.original_name}: {server.flavor.vcpus} CPU, {server.flavor.ram} MiB, {server.flavor.disk} GiB</dd>
        <dt>Image</dt><dd>{server.image === '' ? 'from a volume' : <Id value={server.image.id} />}</dd>
        <dt>Key pair</dt><dd>{server.key_name ?? '–'}</dd>
        <dt>Created</dt><dd><Time value={server.created} /></dd>
      </dl>
    </>
  )
}

function Consoles({ id, running }: { id: string; running: boolean }) {
  const doing = useDoing()
  const [log, setLog] = useState<string | null>(null)
  const read = async () => setLog((await post<{ output: string }>(`/compute/v2.1/servers/${id}/action`, { 'os-getConsoleOutput': { length: LOG_LINES } })).output)
  return (
    <>
      <h2>Consoles</h2>
      <div class="buttons">
        <button type="button" disabled={!running || doing.busy} onClick={() => void doing.run(() => openConsole(id, 'vnc'))}>Open screen</button>
        <button type="button" disabled={!running || doing.busy} onClick={() => void doing.run(() => openConsole(id, 'serial'))}>Open serial line</button>
        <button type="button" disabled={doing.busy} onClick={() => void doing.run(read)}>{log === null ? 'Show log' : 'Read log again'}</button>
      </div>
      <Problem error={doing.error} />
      {log !== null && <section aria-label="Console log"><pre class="log">{log === '' ? '(empty)' : log}</pre></section>}
    </>
  )
}

function Attachments({ server, rows, reload }: { server: string; rows: Whole['attachments']; reload(): void }) {
  const doing = useDoing()
  const detach = async (volume: string) => {
    if (await doing.run(() => remove(`/compute/v2.1/servers/${server}/os-volume_attachments/${volume}`), 'Detaching')) reload()
  }
  return (
    <>
      <Problem error={doing.error} />
      <Done text={doing.done} />
      <table>
        <caption class="unseen">Attached volumes</caption>
        <thead><tr><th scope="col">Volume</th><th scope="col">Device</th><th scope="col">Actions</th></tr></thead>
        <tbody>{rows.map(({ volumeId, device }) => <tr key={volumeId}><th scope="row"><Id value={volumeId} /></th><td>{device}</td><td class="deeds"><button type="button" disabled={doing.busy} onClick={() => void detach(volumeId)}>Detach</button></td></tr>)}</tbody>
      </table>
    </>
  )
}
