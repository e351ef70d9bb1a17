/** Key pairs: public keys that servers let in. */
import { get, post, remove } from '../api/client.ts'
import { Listing } from '../components/listing.tsx'

interface Keypair {
  name: string
  fingerprint: string
  type: string
}

export const Keypairs = () => (
  <Listing<Keypair>
    title="Key pairs"
    load={async () => (await get<{ keypairs: { keypair: Keypair }[] }>('/compute/v2.1/os-keypairs')).keypairs.map(({ keypair }) => keypair)}
    idOf={(key) => key.name}
    nameOf={(key) => key.name}
    columns={[{ title: 'Name', cell: (key) => key.name }, { title: 'Type', cell: (key) => key.type }, { title: 'Fingerprint', cell: (key) => <code>{key.fingerprint}</code> }]}
    deeds={[{ label: 'Delete', grave: true, run: (key) => remove(`/compute/v2.1/os-keypairs/${encodeURIComponent(key.name)}`) }]}
    making={{
      label: 'Import key',
      fields: async () => [{ name: 'name', label: 'Name' }, { name: 'key', label: 'Public key', type: 'textarea', hint: 'The content of ~/.ssh/id_ed25519.pub, for example.' }],
      run: (values) => post('/compute/v2.1/os-keypairs', { keypair: { name: values.text('name'), public_key: values.text('key').trim(), type: 'ssh' } }),
    }}
  />
)
