/** Lifecycle rules: read, shown, and what they say of an object and of its versions. Days count from the midnight (UTC) after, as S3's do. Pure. */
import type { ObjectRow, VersionRow } from '../container/rows.ts'
import { s3Fault } from './errors.ts'
import { element, leaf, optional } from './markup.ts'
import { type XmlNode, childOf, childrenOf, needText, onlyChildren, parseXml, textOf } from './xml.ts'

const DAY_MS = 86_400_000
const RULES_MAX = 1_000

export interface Rule {
  id: string
  enabled: boolean
  prefix: string
  /** The old form has the prefix outside of a filter: shown as it was given. */
  filtered: boolean
  tags: [string, string][]
  larger: number | null
  smaller: number | null
  expire_days: number | null
  expire_at_ms: number | null
  expire_markers: boolean
  noncurrent_days: number | null
  noncurrent_kept: number | null
  abort_days: number | null
}

function daysOf(node: XmlNode | undefined, name: string): number | null {
  const text = node === undefined ? undefined : textOf(node, name)
  if (text === undefined) return null
  if (!/^[1-9]\d{0,8}$/.test(text)) throw s3Fault('InvalidArgument', `'${name}' must be a positive integer`)
  return Number(text)
}

export function parseLifecycle(text: string): Rule[] {
  const root = parseXml(text, 'LifecycleConfiguration')
  onlyChildren(root, ['Rule'])
  const nodes = childrenOf(root, 'Rule')
  if (nodes.length === 0 || nodes.length > RULES_MAX) throw s3Fault('MalformedXML')
  const rules = nodes.map((node, at) => parseRule(node, at))
  if (new Set(rules.map(({ id }) => id)).size !== rules.length) throw s3Fault('InvalidArgument', 'Rule ID must be unique. Found same ID for more than one rule')
  return rules
}

function parseRule(node: XmlNode, at: number): Rule {
  const moved = node.children.find(({ name }) => name === 'Transition' || name === 'NoncurrentVersionTransition')
  if (moved !== undefined) throw s3Fault('NotImplemented', `${moved.name} is not there: STANDARD is the only storage class.`)
  onlyChildren(node, ['ID', 'Status', 'Prefix', 'Filter', 'Expiration', 'NoncurrentVersionExpiration', 'AbortIncompleteMultipartUpload'])
  const status = needText(node, 'Status').trim()
  if (status !== 'Enabled' && status !== 'Disabled') throw s3Fault('MalformedXML')
  const filter = childOf(node, 'Filter')
  const terms = filter === undefined ? undefined : (childOf(filter, 'And') ?? filter)
  if (terms !== undefined) onlyChildren(terms, ['Prefix', 'Tag', 'ObjectSizeGreaterThan', 'ObjectSizeLessThan', ...(terms === filter ? ['And'] : [])])
  if (terms !== undefined && terms === filter && terms.children.length > 1) throw s3Fault('MalformedXML')
  const [expiration, noncurrent, abort] = [childOf(node, 'Expiration'), childOf(node, 'NoncurrentVersionExpiration'), childOf(node, 'AbortIncompleteMultipartUpload')]
  const date = expiration === undefined ? undefined : textOf(expiration, 'Date')
  const expire_at_ms = date === undefined ? null : Date.parse(date)
  if (expire_at_ms !== null && (Number.isNaN(expire_at_ms) || expire_at_ms % DAY_MS !== 0)) throw s3Fault('InvalidArgument', "'Date' must be at midnight GMT")
  const size = (name: string) => {
    const value = terms === undefined ? undefined : textOf(terms, name)
    return value === undefined ? null : Number(value)
  }
  const rule: Rule = {
    id: textOf(node, 'ID') || `rule-${at + 1}`, enabled: status === 'Enabled', prefix: (terms !== undefined ? childOf(terms, 'Prefix')?.text : childOf(node, 'Prefix')?.text) ?? '', filtered: filter !== undefined,
    tags: terms === undefined ? [] : childrenOf(terms, 'Tag').map((tag): [string, string] => [needText(tag, 'Key'), needText(tag, 'Value')]), larger: size('ObjectSizeGreaterThan'), smaller: size('ObjectSizeLessThan'),
    expire_days: daysOf(expiration, 'Days'), expire_at_ms, expire_markers: expiration !== undefined && textOf(expiration, 'ExpiredObjectDeleteMarker') === 'true',
    noncurrent_days: daysOf(noncurrent, 'NoncurrentDays'), noncurrent_kept: daysOf(noncurrent, 'NewerNoncurrentVersions'), abort_days: daysOf(abort, 'DaysAfterInitiation'),
  }
  checkRule(rule)
  return rule
}

function checkRule(rule: Rule): void {
  if (rule.id.length > 255) throw s3Fault('InvalidArgument', 'ID length should not exceed allowed limit of 255')
  if (rule.expire_days === null && rule.expire_at_ms === null && !rule.expire_markers && rule.noncurrent_days === null && rule.abort_days === null) throw s3Fault('InvalidRequest', 'At least one action needs to be specified in a rule')
  if (rule.expire_days !== null && rule.expire_at_ms !== null) throw s3Fault('MalformedXML')
  if (rule.tags.length > 0 && (rule.abort_days !== null || rule.expire_markers)) throw s3Fault('InvalidRequest', 'AbortIncompleteMultipartUpload and ExpiredObjectDeleteMarker cannot be specified with Tags')
  for (const size of [rule.larger, rule.smaller]) if (size !== null && (!Number.isInteger(size) || size < 0)) throw s3Fault('InvalidArgument', 'An object size must be a whole number')
}

export function lifecycleXml(rules: readonly Rule[]): string {
  return element('LifecycleConfiguration', ...rules.map((rule) => element('Rule', leaf('ID', rule.id), rule.filtered ? element('Filter', filterXml(rule)) : leaf('Prefix', rule.prefix), leaf('Status', rule.enabled ? 'Enabled' : 'Disabled'),
    rule.expire_days === null && rule.expire_at_ms === null && !rule.expire_markers ? '' : element('Expiration', optional('Days', rule.expire_days), rule.expire_at_ms === null ? '' : leaf('Date', new Date(rule.expire_at_ms).toISOString()), rule.expire_markers ? leaf('ExpiredObjectDeleteMarker', true) : ''),
    rule.noncurrent_days === null ? '' : element('NoncurrentVersionExpiration', leaf('NoncurrentDays', rule.noncurrent_days), optional('NewerNoncurrentVersions', rule.noncurrent_kept)),
    rule.abort_days === null ? '' : element('AbortIncompleteMultipartUpload', leaf('DaysAfterInitiation', rule.abort_days)))))
}

function filterXml(rule: Rule): string {
  const terms = [...(rule.prefix === '' ? [] : [leaf('Prefix', rule.prefix)]), ...rule.tags.map(([key, value]) => element('Tag', leaf('Key', key), leaf('Value', value))), ...(rule.larger === null ? [] : [leaf('ObjectSizeGreaterThan', rule.larger)]), ...(rule.smaller === null ? [] : [leaf('ObjectSizeLessThan', rule.smaller)])]
  return terms.length === 0 ? leaf('Prefix', '') : terms.length === 1 ? (terms[0] ?? '') : element('And', ...terms)
}

export function appliesTo(rule: Rule, row: Pick<ObjectRow, 'name' | 'size' | 'slo_size' | 'extra'>): boolean {
  const size = row.slo_size ?? row.size
  if (!row.name.startsWith(rule.prefix) || (rule.larger !== null && size <= rule.larger) || (rule.smaller !== null && size >= rule.smaller)) return false
  if (rule.tags.length === 0) return true
  const tags = new URLSearchParams(row.extra?.['s3-tags'] ?? '')
  return rule.tags.every(([key, value]) => tags.get(key) === value)
}

/** The first midnight after so many days. */
const dayAfter = (at_ms: number, days: number): number => Math.ceil((at_ms + days * DAY_MS) / DAY_MS) * DAY_MS

export const expiryOf = (rule: Rule, at_ms: number): number | null => (rule.expire_days !== null ? dayAfter(at_ms, rule.expire_days) : rule.expire_at_ms)

export function dueCurrent(rule: Rule, at_ms: number, now_ms: number): boolean {
  const due = expiryOf(rule, at_ms)
  return due !== null && due <= now_ms
}

export interface Doomed {
  row: VersionRow
  /** 'expire': what is current gives way to a marker; 'remove': the version is gone. */
  how: 'expire' | 'remove'
}

/** Of one key's versions, the newest first. */
export function dueVersions(rule: Rule, versions: readonly (VersionRow & { at_ms: number })[], now_ms: number): Doomed[] {
  const [newest] = versions
  if (newest === undefined) return []
  const doomed: Doomed[] = []
  if (!newest.deleted && newest.is_latest && appliesTo(rule, newest) && dueCurrent(rule, newest.at_ms, now_ms)) doomed.push({ row: newest, how: 'expire' })
  // A marker that hides nothing any more.
  if (newest.deleted && versions.length === 1 && newest.name.startsWith(rule.prefix) && (rule.expire_markers || dueCurrent(rule, newest.at_ms, now_ms))) doomed.push({ row: newest, how: 'remove' })
  if (rule.noncurrent_days === null) return doomed
  let kept = 0
  for (let at = 1; at < versions.length; at++) {
    const [row, successor] = [versions[at], versions[at - 1]]
    if (row === undefined || successor === undefined || !appliesTo(rule, row)) continue
    // It stopped to be current when the next one came.
    if (kept < (rule.noncurrent_kept ?? 0)) kept++
    else if (dayAfter(successor.at_ms, rule.noncurrent_days) <= now_ms) doomed.push({ row, how: 'remove' })
  }
  return doomed
}
