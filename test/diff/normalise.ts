/**
 * Makes two clouds' answers comparable: what each of them chose itself (ids, secrets, moments, its own address) becomes a word that says what it was, everything else
 * stays. A name that the script gave to an id is kept, so that a wrong reference still shows. Pure.
 */

export interface Names {
  /** Literal -> word: ids the script has learned, addresses. */
  words: Map<string, string>
  /** Suffix of this run's names. */
  run: string
}

const MOMENT = /\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})?(?![\d:])/g
const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g
const HEX = /(?<![0-9a-zA-Z])(?:[0-9a-f]{64}|[0-9a-f]{32})(?![0-9a-zA-Z])/g
/** Fields whose value is a cloud's own invention: only their kind is compared. */
const SECRETS = new Set(['secret', 'access', 'audit_id', 'access_token'])

export function text(value: string, { words, run }: Names): string {
  // Keystone's faults of validation go on with the whole schema.
  let out = value.split('\n', 1)[0] ?? ''
  for (const [literal, word] of [...words].sort(([a], [b]) => b.length - a.length)) if (literal !== '') out = out.replaceAll(literal, word)
  out = out.replaceAll(`-${run}`, '').replaceAll(encodeURIComponent(run), '')
  return out
    .replace(MOMENT, (_all, fraction?: string, zone?: string) => `<moment${fraction === undefined ? '' : ` .${fraction.length - 1}`}${zone ?? ''}>`)
    .replace(UUID, '<uuid>')
    .replace(HEX, '<id>')
}

const order = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)

/** Lists are sets to Keystone's clients: it sorts by ids, which differ. */
export function json(value: unknown, names: Names, key = ''): unknown {
  if (typeof value === 'string') return SECRETS.has(key) ? '<secret>' : text(value, names)
  if (Array.isArray(value)) return key === 'audit_ids' ? value.map(() => '<audit>') : value.map((each) => json(each, names)).sort(order)
  if (typeof value !== 'object' || value === null) return value
  const out: Record<string, unknown> = {}
  for (const [name, each] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) out[text(name, names)] = json(each, names, name)
  return out
}

/** Rows of lists that the script did not make are another cloud's furniture. */
export function ownRows(body: unknown, names: Names): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(body)) {
    if (Array.isArray(value)) out[key] = value.filter((row) => mine(row, names))
    else if (key === 'token') out[key] = ownRows(value, names)
    else out[key] = value
  }
  return out
}

function mine(row: unknown, { words }: Names): boolean {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return true
  const { id, type, endpoints, prior_role } = row as { id?: unknown; type?: unknown; endpoints?: unknown; prior_role?: { id: string } }
  if (prior_role !== undefined) return words.has(prior_role.id)
  if (Array.isArray(endpoints) && type === 'identity') return true
  return typeof id !== 'string' || id === 'default' || words.has(id)
}
