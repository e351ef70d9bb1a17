/** Search filters (RFC 4515). Pure. What users type becomes values here, and a value is never more than a value. */

/** The characters that mean something in a filter, and controls, as \xx. */
export const escapeValue = (text: string): string => text.toWellFormed().replace(/[\\*()\u0000-\u001f\u007f]/g, (char) => `\\${char.charCodeAt(0).toString(16).padStart(2, '0')}`)

export const equals = (attribute: string, value: string): string => `(${attribute}=${escapeValue(value)})`
export const present = (attribute: string): string => `(${attribute}=*)`
export const startsWith = (attribute: string, value: string): string => (value === '' ? present(attribute) : `(${attribute}=${escapeValue(value)}*)`)
export const endsWith = (attribute: string, value: string): string => (value === '' ? present(attribute) : `(${attribute}=*${escapeValue(value)})`)
export const contains = (attribute: string, value: string): string => (value === '' ? present(attribute) : `(${attribute}=*${escapeValue(value)}*)`)

/** All of them; parts that are null are left out. */
export function all(...parts: (string | null)[]): string {
  const given = parts.filter((part): part is string => part !== null)
  return given.length === 1 ? (given[0] ?? '') : `(&${given.join('')})`
}

/** Whether a text that an operator wrote is one whole filter: balanced, nothing before or after it. */
export function isFilter(text: string): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\') at += 2
    else if (text[at] === '(') depth++
    else if (text[at] === ')' && --depth < 0) return false
    if (depth === 0 && at < text.length - 1) return false
  }
  return text.startsWith('(') && depth === 0
}
