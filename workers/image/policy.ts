/** Glance's rules (glance/policies: image.py, tasks.py, discovery.py, metadef.py). The owner of an image is its project. */
import type { PolicyRule } from '../http/policy.ts'

const READ = 'rule:project_reader_or_admin'
const WRITE = 'rule:project_member_or_admin'
const ADMIN = 'rule:admin_required'
const rule = (name: string, check: string, ...operations: string[]): PolicyRule => ({ name, check, operations })

export const policies: PolicyRule[] = [
  rule('add_image', WRITE, 'POST /v2/images'),
  rule('get_image', READ, 'GET /v2/images/{image_id}'),
  rule('get_images', READ, 'GET /v2/images'),
  rule('modify_image', WRITE, 'PATCH /v2/images/{image_id}'),
  rule('delete_image', WRITE, 'DELETE /v2/images/{image_id}'),
  rule('publicize_image', ADMIN, 'PATCH /v2/images/{image_id}'),
  rule('communitize_image', WRITE, 'PATCH /v2/images/{image_id}'),
  rule('download_image', WRITE, 'GET /v2/images/{image_id}/file'),
  rule('upload_image', WRITE, 'PUT /v2/images/{image_id}/file', 'PUT /v2/images/{image_id}/stage', 'POST /v2/images/{image_id}/import'),
  rule('copy_image', ADMIN, 'POST /v2/images/{image_id}/import'),
  rule('delete_image_location', ADMIN, 'DELETE /v2/stores/{store}/{image_id}'),
  rule('deactivate', WRITE, 'POST /v2/images/{image_id}/actions/deactivate'),
  rule('reactivate', WRITE, 'POST /v2/images/{image_id}/actions/reactivate'),
  rule('add_member', WRITE, 'POST /v2/images/{image_id}/members'),
  rule('delete_member', WRITE, 'DELETE /v2/images/{image_id}/members/{member_id}'),
  rule('get_member', READ, 'GET /v2/images/{image_id}/members/{member_id}'),
  rule('get_members', READ, 'GET /v2/images/{image_id}/members'),
  rule('modify_member', WRITE, 'PUT /v2/images/{image_id}/members/{member_id}'),
  rule('stores_info_detail', ADMIN, 'GET /v2/info/stores/detail'),
  rule('tasks_api_access', ADMIN, 'GET /v2/tasks', 'GET /v2/tasks/{task_id}'),
  rule('get_metadef_namespaces', READ, 'GET /v2/metadefs/namespaces'),
  rule('list_metadef_resource_types', READ, 'GET /v2/metadefs/resource_types'),
  rule('metadef_admin', ADMIN, 'POST /v2/metadefs/namespaces'),
  // What an admin may do with images of others; not a rule of upstream, which asks whether the context is an admin's.
  rule('skyhook:image:any_project', ADMIN, 'GET /v2/images'),
]
