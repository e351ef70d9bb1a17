/** Volumes: made, attached to servers, grown, deleted. */
import { get, post, projectId, remove } from '../api/client.ts'
import { Listing } from '../components/listing.tsx'
import { Id, Link, Status, Time } from '../components/show.tsx'
import { nameOr } from '../components/text.ts'
import type { Server } from './servers.tsx'

interface Volume {
  id: string
  name: string
  status: string
  size: number
  volume_type: string | null
  bootable: string
  created_at: string
  attachments: { server_id: string; device: string }[]
}

const base = () => `/volume/v3/${projectId()}/volumes`
const serverChoices = async () => (await get<{ servers: Server[] }>('/compute/v2.1/servers/detail')).servers.map(({ id, name }) => ({ value: id, label: nameOr(name, id) }))

export const Volumes = () => (
  <Listing<Volume>
    title="Volumes"
    load={async () => (await get<{ volumes: Volume[] }>(`${base()}/detail`)).volumes}
    idOf={(volume) => volume.id}
    nameOf={(volume) => nameOr(volume.name, volume.id)}
    refresh_ms={3_000}
    columns={[
      { title: 'Name', cell: (volume) => nameOr(volume.name, volume.id) },
      { title: 'Id', cell: (volume) => <Id value={volume.id} /> },
      { title: 'Status', cell: (volume) => <Status value={volume.status} /> },
      { title: 'Size', numeric: true, cell: (volume) => `${volume.size} GiB` },
      { title: 'Attached to', cell: (volume) => volume.attachments.map(({ server_id, device }) => <span key={server_id}><Link to={`/servers/${server_id}`}>{server_id.slice(0, 8)}</Link> {device} </span>) },
      { title: 'Created', cell: (volume) => <Time value={volume.created_at} /> },
    ]}
    deeds={[
      {
        label: 'Attach', when: (volume) => volume.status === 'available', fields: async () => [{ name: 'server', label: 'Server', type: 'select', choices: await serverChoices() }],
        run: (volume, values) => post(`/compute/v2.1/servers/${values.text('server')}/os-volume_attachments`, { volumeAttachment: { volumeId: volume.id } }),
      },
      { label: 'Detach', when: (volume) => volume.status === 'in-use', run: (volume) => Promise.all(volume.attachments.map(({ server_id }) => remove(`/compute/v2.1/servers/${server_id}/os-volume_attachments/${volume.id}`))) },
      {
        label: 'Extend', when: (volume) => volume.status === 'available', fields: async (volume) => [{ name: 'size', label: 'New size, GiB', type: 'number', value: String(volume.size + 1) }],
        run: (volume, values) => post(`${base()}/${volume.id}/action`, { 'os-extend': { new_size: values.number('size') } }),
      },
      { label: 'Delete', grave: true, when: (volume) => volume.status !== 'in-use', run: (volume) => remove(`${base()}/${volume.id}`) },
    ]}
    making={{
      label: 'Create volume',
      fields: async () => {
        const { images } = await get<{ images: { id: string; name: string }[] }>('/image/v2/images?status=active&sort=name:asc')
        return [
          { name: 'name', label: 'Name', optional: true }, { name: 'size', label: 'Size, GiB', type: 'number', value: '1' },
          { name: 'image', label: 'From image', type: 'select', optional: true, choices: [{ value: '', label: '(empty)' }, ...images.map(({ id, name }) => ({ value: id, label: nameOr(name, id) }))] },
        ]
      },
      run: (values) => post(base(), { volume: { name: values.text('name'), size: values.number('size'), ...(values.text('image') === '' ? {} : { imageRef: values.text('image') }) } }),
    }}
  />
)
