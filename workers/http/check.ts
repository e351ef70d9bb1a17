/**
 * Check strings as oslo.policy writes them (its documentation, "Policy configuration"): parsed to a tree, printed back, evaluated over credentials and a target. Pure.
 *
 *   @ !                        always, never                     rule:name       another rule
 *   role:name                  a role of the caller              attr:value      an attribute of the caller is the value
 *   True:v None:v 'text':v 5:v a literal is the value            %(name)s        in a value: the target's attribute
 *   not x, x and y, x or y, (x)   `not` binds closest, then `and`, then `or`; an empty string is @
 *
 * The older form, lists in a list, is read too: the outer one is `or`, the inner ones `and`.
 */

export type Target = Record<string, string | boolean | number | null | undefined>
export type Credentials = Record<string, unknown> & { roles: string[] }

/** What is left of the colon: an attribute of the caller by its dotted path, or a literal. */
export type Subject = { attribute: string } | { literal: string }

export type Check =
  | { is: 'always' }
  | { is: 'never' }
  | { is: 'rule'; name: string }
  | { is: 'role'; value: string }
  | { is: 'match'; subject: Subject; value: string }
  | { is: 'not'; of: Check }
  | { is: 'and' | 'or'; of: Check[] }

export const CHECK_DEPTH_MAX = 32
export const CHECK_CHARS_MAX = 8_192

const TOKEN = /\s*(\(|\)|'[^']*':(?:[^\s()%]|%\([^)]*\)s)*|"[^"]*":(?:[^\s()%]|%\([^)]*\)s)*|(?:[^\s()%]|%\([^)]*\)s)+)/y
const PLACE = /%\(([^)]+)\)s/g
/** Literals that need no quotes, as Python writes them. */
const BARE = /^(True|False|None|-?\d+)$/

function tokenize(text: string): string[] {
  if (text.length > CHECK_CHARS_MAX) throw new Error(`policy check is longer than ${CHECK_CHARS_MAX} characters`)
  const tokens: string[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex
    const match = TOKEN.exec(text)
    if (match === null) {
      if (text.slice(at).trim() !== '') throw new Error(`policy check has a strange word at '${text.slice(at).trim()}': ${text}`)
      break
    }
    tokens.push(match[1] ?? '')
  }
  return tokens
}

/** Throws an Error that names what is wrong. */
export function parse(rule: string | readonly unknown[]): Check {
  return typeof rule === 'string' ? parseText(rule) : parseLists(rule)
}

function parseText(text: string): Check {
  const tokens = tokenize(text)
  if (tokens.length === 0) return { is: 'always' }
  let at = 0
  let depth = 0
  const series = (is: 'and' | 'or', next: () => Check): Check => {
    const of = [next()]
    while (tokens[at]?.toLowerCase() === is) {
      at++
      of.push(next())
    }
    return of.length === 1 ? (of[0] as Check) : { is, of }
  }
  const unary = (): Check => {
    if (++depth > CHECK_DEPTH_MAX) throw new Error(`policy check is nested deeper than ${CHECK_DEPTH_MAX}`)
    try {
      const token = tokens[at++]
      if (token === undefined) throw new Error(`policy check ends too early: ${text}`)
      if (token.toLowerCase() === 'not') return { is: 'not', of: unary() }
      if (token !== '(') return leaf(token, text)
      const inner = any()
      if (tokens[at++] !== ')') throw new Error(`policy check lacks a parenthesis: ${text}`)
      return inner
    } finally {
      depth--
    }
  }
  const any = (): Check => series('or', () => series('and', unary))
  const check = any()
  if (at !== tokens.length) throw new Error(`policy check has too much at '${tokens[at]}': ${text}`)
  return check
}

function leaf(token: string, text: string): Check {
  if (token === '@') return { is: 'always' }
  if (token === '!') return { is: 'never' }
  const quote = token[0] === "'" || token[0] === '"' ? token[0] : null
  const colon = quote === null ? token.indexOf(':') : token.indexOf(quote, 1) + 1
  if (colon <= 0 || token[colon] !== ':' || colon === token.length - 1) throw new Error(`policy check has a strange word '${token}': ${text}`)
  const [left, value] = [token.slice(0, colon), token.slice(colon + 1)]
  if (quote !== null) return { is: 'match', subject: { literal: left.slice(1, -1) }, value }
  if (left === 'rule') return { is: 'rule', name: value }
  if (left === 'role') return { is: 'role', value }
  return { is: 'match', subject: BARE.test(left) ? { literal: left } : { attribute: left }, value }
}

/** [['a', 'b'], 'c'] is (a and b) or c; [] is @; empty inner lists are skipped, and nothing but those is !. */
function parseLists(rule: readonly unknown[]): Check {
  if (rule.length === 0) return { is: 'always' }
  const one = (word: unknown): Check => {
    if (typeof word !== 'string' || word.trim() === '') throw new Error(`policy check has a strange word in its lists: ${JSON.stringify(word)}`)
    return leaf(word.trim(), JSON.stringify(rule))
  }
  const alternatives = rule.map((inner) => (Array.isArray(inner) ? inner : [inner])).filter((inner) => inner.length > 0).map((inner): Check => (inner.length === 1 ? one(inner[0]) : { is: 'and', of: inner.map(one) }))
  if (alternatives.length === 0) return { is: 'never' }
  return alternatives.length === 1 ? (alternatives[0] as Check) : { is: 'or', of: alternatives }
}

/** The text that parses to this very tree. */
export function print(check: Check): string {
  switch (check.is) {
    case 'always':
      return '@'
    case 'never':
      return '!'
    case 'rule':
      return `rule:${check.name}`
    case 'role':
      return `role:${check.value}`
    case 'match': {
      const { subject } = check
      if ('attribute' in subject) return `${subject.attribute}:${check.value}`
      const quoted = subject.literal.includes("'") ? `"${subject.literal}"` : `'${subject.literal}'`
      return `${BARE.test(subject.literal) ? subject.literal : quoted}:${check.value}`
    }
    case 'not':
      return `not ${tight(check.of)}`
    case 'and':
      return check.of.map(tight).join(' and ')
    case 'or':
      return check.of.map((each) => (each.is === 'or' ? `(${print(each)})` : print(each))).join(' or ')
    default:
      return check satisfies never
  }
}

const tight = (check: Check): string => (check.is === 'and' || check.is === 'or' ? `(${print(check)})` : print(check))

/** As Python's str() shows it: what the other side of the colon is compared with. */
const shown = (value: unknown): string => (value === true ? 'True' : value === false ? 'False' : value === null ? 'None' : String(value))

/** The value with the target's attributes in it; null where one of them is not there. */
function filled(value: string, target: Target): { text: string; whole: string | boolean | number | null | undefined } | null {
  if (!value.includes('%(')) return { text: value, whole: undefined }
  const only = /^%\(([^)]+)\)s$/.exec(value)
  if (only !== null) {
    const whole = target[only[1] ?? '']
    return whole === undefined ? null : { text: shown(whole), whole }
  }
  let missing = false
  const text = value.replace(PLACE, (_all, name: string) => {
    const found = target[name]
    if (found === undefined) missing = true
    return shown(found)
  })
  return missing ? null : { text, whole: undefined }
}

/** Follows a dotted path; in a list, any element may match. */
function found(value: unknown, path: readonly string[], text: string): boolean {
  if (Array.isArray(value)) return value.some((each) => found(each, path, text))
  const [key, ...rest] = path
  if (key === undefined) return value !== undefined && shown(value) === text
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) && found((value as Record<string, unknown>)[key], rest, text)
}

function matches(subject: Subject, value: string, creds: Credentials, target: Target): boolean {
  const right = filled(value, target)
  if (right === null) return false
  if ('literal' in subject) return subject.literal === right.text
  const own = Object.hasOwn(creds, subject.attribute) ? creds[subject.attribute] : undefined
  // A credential that is not there equals only the word None written in the rule, never a target's null: nobody's thing is not everybody's.
  if (own === null || (own === undefined && !subject.attribute.includes('.'))) return !value.includes('%(') && right.text === 'None'
  return own === undefined ? found(creds, subject.attribute.split('.'), right.text) : found(own, [], right.text)
}

/** An unknown rule, or one that leads back to itself, allows nothing. */
export function holds(check: Check, creds: Credentials, target: Target, rules: ReadonlyMap<string, Check>, depth = 0): boolean {
  switch (check.is) {
    case 'always':
      return true
    case 'never':
      return false
    case 'rule': {
      const rule = rules.get(check.name)
      return rule !== undefined && depth < CHECK_DEPTH_MAX && holds(rule, creds, target, rules, depth + 1)
    }
    case 'role': {
      const value = filled(check.value, target)
      return value !== null && creds.roles.some((role) => role.toLowerCase() === value.text.toLowerCase())
    }
    case 'match':
      return matches(check.subject, check.value, creds, target)
    case 'not':
      return !holds(check.of, creds, target, rules, depth)
    case 'and':
      return check.of.every((each) => holds(each, creds, target, rules, depth))
    case 'or':
      return check.of.some((each) => holds(each, creds, target, rules, depth))
    default:
      return check satisfies never
  }
}

/** Rules that a check names, itself or through others; for telling an operator what an override refers to. */
export function rulesNamed(check: Check): string[] {
  if (check.is === 'rule') return [check.name]
  if (check.is === 'not') return rulesNamed(check.of)
  return check.is === 'and' || check.is === 'or' ? check.of.flatMap(rulesNamed) : []
}

/** The first rule that leads back to itself, as the way round; null where none does. `not` over such a rule would allow by accident. */
export function circle(rules: ReadonlyMap<string, Check>): string[] | null {
  const done = new Set<string>()
  const walk = (name: string, way: string[]): string[] | null => {
    if (way.includes(name)) return [...way.slice(way.indexOf(name)), name]
    const check = rules.get(name)
    if (check === undefined || done.has(name)) return null
    for (const next of rulesNamed(check)) {
      const around = walk(next, [...way, name])
      if (around !== null) return around
    }
    done.add(name)
    return null
  }
  for (const name of rules.keys()) {
    const around = walk(name, [])
    if (around !== null) return around
  }
  return null
}
