/** What an API said when it refused, as a sentence: each service words its errors in its own shape. Pure. */

export class ApiError extends Error {
  status: number
  requestId: string | null
  constructor(status: number, sentence: string, requestId: string | null) {
    super(sentence)
    this.name = 'ApiError'
    this.status = status
    this.requestId = requestId
  }
}

const SENTENCE_CHARS_MAX = 600
/** Glance and Swift answer with a little HTML: it is shown as text. */
const plain = (text: string) => text.replace(/<[^>]*>/g, ' ').replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&quot;/g, '"').replace(/&amp;/g, '&').replace(/\s+/g, ' ').trim()

/** The first `message` or `detail` of the body, one level down at most. */
function messageIn(value: unknown, depth = 0): string | null {
  if (typeof value !== 'object' || value === null) return null
  const { message, detail } = value as { message?: unknown; detail?: unknown }
  for (const text of [message, detail]) if (typeof text === 'string' && text !== '') return text
  if (depth > 1) return null
  for (const inner of Object.values(value)) {
    const found = messageIn(inner, depth + 1)
    if (found !== null) return found
  }
  return null
}

export function sentenceOf(status: number, body: string): string {
  let text: string | null = null
  try {
    text = messageIn(JSON.parse(body))
  } catch {
    text = body
  }
  const sentence = plain(text ?? '').slice(0, SENTENCE_CHARS_MAX)
  return sentence === '' ? `The cloud answered ${status}.` : sentence
}
