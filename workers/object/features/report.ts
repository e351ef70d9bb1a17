/** What happened to many things in one request (bulk, manifests), in the form that Accept asks for (swift/common/request_helpers.py). */
import { sized } from '../listing.ts'
import type { SwiftRequest } from '../request.ts'

export type ReportType = 'application/json' | 'text/xml' | 'text/plain'

export interface Report {
  /** What is left out has not been decided. */
  status?: string
  body?: string
  fields?: Record<string, string | number>
  errors: [string, string][]
}

export function reportType(request: SwiftRequest): ReportType {
  const accept = request.headers.get('accept') ?? ''
  return accept.includes('application/json') ? 'application/json' : accept.includes('xml') ? 'text/xml' : 'text/plain'
}

const escaped = (text: string) => text.replace(/[&<>]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[char] ?? char)
const tag = (name: string, value: string) => `<${name}>${escaped(value)}</${name}>`

export function reportText(type: ReportType, report: Report, root: 'delete' | 'extract' | 'upload'): string {
  const fields: [string, string | number][] = [...Object.entries(report.fields ?? {}), ...(report.body === undefined ? [] : [['Response Body', report.body] as [string, string]]), ...(report.status === undefined ? [] : [['Response Status', report.status] as [string, string]])]
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  if (type === 'application/json') return JSON.stringify({ ...Object.fromEntries(fields), Errors: report.errors })
  if (type === 'text/xml') {
    const named = fields.map(([name, value]) => `${tag(name.toLowerCase().replace(/ /g, '_'), String(value))}\n`).join('')
    return `<${root}>\n${named}<errors>\n${report.errors.map(([name, status]) => `<object>${tag('name', name)}${tag('status', status)}</object>\n`).join('')}</errors>\n</${root}>\n`
  }
  return `${[...fields.map(([name, value]) => `${name}: ${value}`), 'Errors:', ...report.errors.map(([name, status]) => `${name}, ${status}`)].join('\n')}\n`
}

/** The HTTP status is 200 whatever happened; the true one is inside. */
export function renderReport(request: SwiftRequest, report: Report, root: 'delete' | 'extract'): Response {
  const type = reportType(request)
  return sized(reportText(type, report, root), { 'content-type': type })
}
