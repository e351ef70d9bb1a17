/** What clients read: clouds.yaml (cloud `skyhook`) and openrc. Pure text. */
export interface CloudAccess {
  url: string
  password: string
  region: string
}

export const cloudsYaml = ({ url, password, region }: CloudAccess): string => `clouds:
  skyhook:
    auth:
      auth_url: ${url}/identity/v3
      username: admin
      password: ${JSON.stringify(password)}
      project_name: admin
      user_domain_id: default
      project_domain_id: default
    region_name: ${region}
    identity_api_version: 3
    volume_api_version: 3
    interface: public
`

const quote = (text: string) => `'${text.replace(/'/g, `'\\''`)}'`

export const openrc = ({ url, password, region }: CloudAccess): string => `unset OS_CLOUD OS_TOKEN OS_PROJECT_ID OS_TENANT_NAME
export OS_AUTH_URL=${url}/identity/v3
export OS_USERNAME=admin
export OS_PASSWORD=${quote(password)}
export OS_PROJECT_NAME=admin
export OS_USER_DOMAIN_ID=default
export OS_PROJECT_DOMAIN_ID=default
export OS_REGION_NAME=${region}
export OS_IDENTITY_API_VERSION=3
export OS_VOLUME_API_VERSION=3
export OS_INTERFACE=public
`
