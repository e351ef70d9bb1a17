/** The config drive: what the metadata service would say, on an ISO 9660 disk with the label config-2. */
import { join } from 'node:path'
import type { ServerMetadata } from '../../../../schema/agent/desired.ts'
import type { Exec } from '../../../host/exec.ts'
import type { HostFiles } from '../../../host/files.ts'
import { ec2Tree, metaDataDocument, userData } from '../../../metadata.ts'

/** Path on the drive -> content. cloud-init wants `latest`; the date is for what looks for one it knows. */
export function configDriveFiles(metadata: ServerMetadata): Record<string, string | Uint8Array> {
  const files: Record<string, string | Uint8Array> = {}
  const user = userData(metadata)
  for (const date of ['latest', '2018-08-27']) {
    files[`openstack/${date}/meta_data.json`] = JSON.stringify(metaDataDocument(metadata, date))
    files[`openstack/${date}/network_data.json`] = JSON.stringify(metadata.network_data ?? {})
    files[`openstack/${date}/vendor_data.json`] = '{}'
    files[`openstack/${date}/vendor_data2.json`] = '{}'
    if (user) files[`openstack/${date}/user_data`] = user
  }
  files['ec2/latest/meta-data.json'] = JSON.stringify(ec2Tree({ metadata, local_ipv4: null }))
  if (user) files['ec2/latest/user-data'] = user
  return files
}

export const isoArgv = (tree: string, target: string): string[] => ['genisoimage', '-quiet', '-o', target, '-V', 'config-2', '-J', '-r', '-ldots', '-allow-lowercase', '-allow-multidot', '-l', tree]

export async function writeConfigDrive(folder: string, metadata: ServerMetadata, files: HostFiles, exec: Exec): Promise<void> {
  const tree = join(folder, 'config.tree')
  const target = join(folder, 'config.iso')
  await files.remove(tree)
  for (const [path, content] of Object.entries(configDriveFiles(metadata))) {
    await files.makeFolder(join(tree, path, '..'))
    await files.replace(join(tree, path), content)
  }
  await exec(isoArgv(tree, `${target}.new`))
  await files.rename(`${target}.new`, target)
  await files.remove(tree)
}
