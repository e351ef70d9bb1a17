/**
 * What is wrong with a body, in the words of the JSON schema library that Keystone uses: clients and their tests look for them. The schemas' own messages are the end of a
 * sentence that begins with the value ("is not of type 'string'"); others stand alone. Pure.
 */
import type { BaseIssue } from 'valibot'
import { HIDDEN, isSecretName } from '../../../schema/values/secret.ts'

const SHOWN_CHARS_MAX = 2_000

/** A value as Python writes it. */
export function python(value: unknown): string {
  if (value === null || value === undefined) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (typeof value === 'string') return value.includes("'") && !value.includes('"') ? `"${value}"` : `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`
  if (typeof value === 'object') return `{${Object.entries(value).map(([key, each]) => `${python(key)}: ${python(each)}`).join(', ')}}`
  return String(value)
}

const TYPES: Record<string, string> = { string: 'string', number: 'number', integer: 'integer', boolean: 'boolean', array: 'array', object: 'object', loose_object: 'object', strict_object: 'object', record: 'object' }

/** For schemas that say nothing themselves. */
function defaultEnding(issue: BaseIssue<unknown>): string {
  const type = TYPES[issue.type]
  if (type !== undefined) return `is not of type '${type}'`
  const { requirement } = issue as { requirement?: unknown }
  switch (issue.type) {
    case 'min_length':
      return 'is too short'
    case 'max_length':
      return 'is too long'
    case 'min_value':
      return `is less than the minimum of ${requirement}`
    case 'max_value':
      return `is greater than the maximum of ${requirement}`
    case 'regex':
      return `does not match '${(requirement as RegExp).source}'`
    case 'union':
      return 'is not valid under any of the given schemas'
    default:
      return issue.message
  }
}

const ENDING = /^(is|does|has|should|must) /

export function wording(issue: BaseIssue<unknown>): string {
  // The first part is the resource's name, which Keystone takes off before it looks.
  const path = (issue.path ?? []).map(({ key }) => String(key)).slice(1)
  const last = issue.path?.at(-1)
  const at = (parts: string[], text: string) => (parts.length === 0 ? text : `Invalid input for field '${parts.join('/')}': ${text}`)
  if (last?.origin === 'key' && issue.kind === 'schema') {
    const name = path.pop() ?? String(last.key)
    return at(path, issue.expected === 'never' ? `Additional properties are not allowed ('${name}' was unexpected)` : `'${name}' is a required property`)
  }
  const ending = /^Invalid /.test(issue.message) ? defaultEnding(issue) : issue.message
  const shown = isSecretName(String(last?.key ?? '')) ? HIDDEN : python(issue.input)
  return ENDING.test(ending) ? at(path, `${shown.length > SHOWN_CHARS_MAX ? `${shown.slice(0, SHOWN_CHARS_MAX)}...` : shown} ${ending}`) : ending
}
