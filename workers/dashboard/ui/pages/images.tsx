/** Images: what servers and volumes are made from. */
import { get, post, remove, send } from '../api/client.ts'
import { Listing } from '../components/listing.tsx'
import { Bytes, Id, Status } from '../components/show.tsx'
import { nameOr } from '../components/text.ts'
import { session } from '../api/session.ts'

interface Image {
  id: string
  name: string | null
  status: string
  visibility: string
  disk_format: string | null
  size: number | null
  owner: string
  protected: boolean
}

const FORMATS = ['qcow2', 'raw', 'vmdk', 'vdi', 'vhd', 'iso']

export const Images = () => (
  <Listing<Image>
    title="Images"
    load={async () => (await get<{ images: Image[] }>('/image/v2/images?limit=200&sort=name:asc')).images}
    idOf={(image) => image.id}
    nameOf={(image) => nameOr(image.name, image.id)}
    refresh_ms={10_000}
    columns={[
      { title: 'Name', cell: (image) => nameOr(image.name, image.id) },
      { title: 'Id', cell: (image) => <Id value={image.id} /> },
      { title: 'Status', cell: (image) => <Status value={image.status} /> },
      { title: 'Seen by', cell: (image) => image.visibility },
      { title: 'Format', cell: (image) => image.disk_format ?? '–' },
      { title: 'Size', numeric: true, cell: (image) => <Bytes value={image.size} /> },
    ]}
    deeds={[{ label: 'Delete', grave: true, when: (image) => !image.protected && image.owner === session()?.project?.id, run: (image) => remove(`/image/v2/images/${image.id}`) }]}
    making={{
      label: 'Upload image',
      fields: async () => [{ name: 'name', label: 'Name' }, { name: 'format', label: 'Format', type: 'select', choices: FORMATS.map((value) => ({ value, label: value })) }, { name: 'file', label: 'File', type: 'file' }],
      run: async (values) => {
        const { id } = await post<{ id: string }>('/image/v2/images', { name: values.text('name'), disk_format: values.text('format'), container_format: 'bare' })
        await send('PUT', `/image/v2/images/${id}/file`, { body: values.file('file') ?? new Blob([]), headers: { 'content-type': 'application/octet-stream' } })
      },
    }}
  />
)
