/** A DNS label from a display name (nova/utils.py: sanitize_hostname). Pure. */
const LABEL_CHARS_MAX = 63

export function hostnameOf(name: string, id: string): string {
  const label = name.replace(/[^\x20-\x7e]/g, '').replace(/[ _]/g, '-').replace(/[^\w.-]+/g, '').toLowerCase().replace(/\./g, '-').replace(/^[.-]+|[.-]+$/g, '').slice(0, LABEL_CHARS_MAX).replace(/-+$/, '')
  return label === '' ? `server-${id}` : label
}
