/** Two recordings of the same script -> their differences, field by field, and which of them somebody has explained. Pure. */

export interface Answer {
  status: number
  headers: Record<string, string>
  body: unknown
}

/** Step name -> what one cloud answered. */
export type Recording = Record<string, Answer>

export interface Difference {
  step: string
  /** 'status', 'header vary', 'body.user.name' */
  field: string
  theirs: unknown
  ours: unknown
}

export interface Explanation {
  /** Of the step's name, whole: `*` is anything. */
  step: string
  field: string
  reason: string
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

function fields(step: string, field: string, theirs: unknown, ours: unknown, out: Difference[]): void {
  if (isObject(theirs) && isObject(ours)) {
    for (const key of new Set([...Object.keys(theirs), ...Object.keys(ours)])) fields(step, `${field}.${key}`, theirs[key], ours[key], out)
  } else if (Array.isArray(theirs) && Array.isArray(ours) && theirs.length === ours.length) {
    for (const [at, each] of theirs.entries()) fields(step, `${field}[${at}]`, each, ours[at], out)
  } else if (Array.isArray(theirs) && Array.isArray(ours)) {
    // Only the rows that the other does not have.
    const without = (list: unknown[], others: unknown[]) => list.filter((each) => !others.some((other) => JSON.stringify(other) === JSON.stringify(each)))
    out.push({ step, field, theirs: without(theirs, ours), ours: without(ours, theirs) })
  } else if (JSON.stringify(theirs) !== JSON.stringify(ours)) out.push({ step, field, theirs, ours })
}

export function compare(theirs: Recording, ours: Recording): Difference[] {
  const out: Difference[] = []
  for (const step of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
    const [a, b] = [theirs[step], ours[step]]
    if (a === undefined || b === undefined) {
      out.push({ step, field: 'step', theirs: a === undefined ? 'not run' : 'run', ours: b === undefined ? 'not run' : 'run' })
      continue
    }
    // The reference broke off without an answer: it says nothing.
    if (a.status === 0) continue
    if (a.status !== b.status) out.push({ step, field: 'status', theirs: a.status, ours: b.status })
    for (const name of new Set([...Object.keys(a.headers), ...Object.keys(b.headers)])) if (a.headers[name] !== b.headers[name]) out.push({ step, field: `header ${name}`, theirs: a.headers[name], ours: b.headers[name] })
    fields(step, 'body', a.body, b.body, out)
  }
  return out
}

const matcher = (pattern: string) => new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`, 's')

/** What nobody has explained, and the explanations that explain nothing any more. */
export function judge(differences: Difference[], explanations: Explanation[]): { unexplained: Difference[]; idle: Explanation[] } {
  const rules = explanations.map((explanation) => ({ explanation, step: matcher(explanation.step), field: matcher(explanation.field), used: false }))
  const unexplained = differences.filter(({ step, field }) => {
    const rule = rules.find((each) => each.step.test(step) && each.field.test(field))
    if (rule !== undefined) rule.used = true
    return rule === undefined
  })
  return { unexplained, idle: rules.filter(({ used }) => !used).map(({ explanation }) => explanation) }
}
