/** Object storage: containers, and the objects in one. */
import { fetchBlob, get, projectId, remove, send } from '../api/client.ts'
import { Listing } from '../components/listing.tsx'
import { Bytes, Link, Time } from '../components/show.tsx'

const LISTED_MAX = 1_000

interface Container {
  name: string
  count: number
  bytes: number
}

interface Item {
  name: string
  bytes: number
  content_type: string
  last_modified: string
}

const account = () => `/object-store/v1/AUTH_${projectId()}`
const inside = (container: string) => `${account()}/${encodeURIComponent(container)}`
/** Slashes in a name are part of it. */
const objectPath = (container: string, name: string) => `${inside(container)}/${name.split('/').map(encodeURIComponent).join('/')}`

export const Containers = () => (
  <Listing<Container>
    title="Containers"
    load={() => get<Container[]>(`${account()}?format=json&limit=${LISTED_MAX}`)}
    idOf={(container) => container.name}
    nameOf={(container) => container.name}
    columns={[
      { title: 'Name', cell: (container) => <Link to={`/containers/${encodeURIComponent(container.name)}`}>{container.name}</Link> },
      { title: 'Objects', numeric: true, cell: (container) => container.count },
      { title: 'Size', numeric: true, cell: (container) => <Bytes value={container.bytes} /> },
    ]}
    deeds={[{ label: 'Delete', grave: true, run: (container) => remove(inside(container.name)) }]}
    making={{ label: 'Create container', fields: async () => [{ name: 'name', label: 'Name' }], run: (values) => send('PUT', inside(values.text('name')), {}) }}
  />
)

/** As a file of that name: never shown as a page. */
async function download(container: string, name: string): Promise<void> {
  const blob = await fetchBlob(objectPath(container, name))
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([blob], { type: 'application/octet-stream' }))
  link.download = name.split('/').at(-1) ?? 'object'
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

export const Objects = ({ container }: { container: string }) => (
  <Listing<Item>
    title={`Objects in ${container}`}
    empty="No objects yet."
    load={async () => (await get<(Item | { subdir: string })[]>(`${inside(container)}?format=json&limit=${LISTED_MAX}`)).filter((item): item is Item => 'name' in item)}
    idOf={(item) => item.name}
    nameOf={(item) => item.name}
    columns={[
      { title: 'Name', cell: (item) => item.name },
      { title: 'Size', numeric: true, cell: (item) => <Bytes value={item.bytes} /> },
      { title: 'Type', cell: (item) => item.content_type },
      { title: 'Changed', cell: (item) => <Time value={item.last_modified} /> },
    ]}
    deeds={[
      { label: 'Download', run: (item) => download(container, item.name) },
      { label: 'Delete', grave: true, run: (item) => remove(objectPath(container, item.name)) },
    ]}
    making={{
      label: 'Upload object',
      fields: async () => [{ name: 'file', label: 'File', type: 'file' }, { name: 'name', label: 'Name', optional: true, hint: 'Empty: the name of the file.' }],
      run: (values) => {
        const file = values.file('file')
        if (file === null) throw new Error('Choose a file.')
        return send('PUT', objectPath(container, values.text('name') || file.name), { body: file, headers: { 'content-type': file.type || 'application/octet-stream' } })
      },
    }}
  >
    <p class="trail"><Link to="/containers">Containers</Link></p>
  </Listing>
)
