/** XML that clients send: a strict parser (saxes) without DTDs, processing instructions or entities of one's own, bounded in size, depth and number of elements (S35). */
import { SaxesParser } from 'saxes'
import { isFault } from '../../../schema/values/fault.ts'
import { s3Fault } from './errors.ts'

/** A list of 10,000 parts with checksums is about 2 MiB. */
export const XML_BYTES_MAX = 4 * 1024 * 1024
const DEPTH_MAX = 12
const ELEMENTS_MAX = 120_000

export interface XmlNode {
  /** Without its prefix. */
  name: string
  attributes: Record<string, string>
  children: XmlNode[]
  text: string
}

const malformed = (why?: string) => s3Fault('MalformedXML', why === undefined ? undefined : `The XML you provided was not well-formed or did not validate against our published schema: ${why}`)

/** The root element, which must have this name. */
export function parseXml(text: string, root: string): XmlNode {
  if (text.length > XML_BYTES_MAX) throw s3Fault('MaxMessageLengthExceeded')
  const parser = new SaxesParser({ xmlns: true })
  const stack: XmlNode[] = []
  let top: XmlNode | null = null
  let count = 0
  const refuse = (why: string) => () => {
    throw malformed(why)
  }
  parser.on('doctype', refuse('a document type is not allowed'))
  parser.on('processinginstruction', refuse('a processing instruction is not allowed'))
  parser.on('error', refuse('it is not well-formed'))
  parser.on('opentag', (tag) => {
    count++
    if (count > ELEMENTS_MAX || stack.length >= DEPTH_MAX) throw malformed('it is too large')
    const node: XmlNode = { name: tag.local, attributes: Object.fromEntries(Object.values(tag.attributes).map((one) => [one.local, one.value])), children: [], text: '' }
    const parent = stack.at(-1)
    if (parent === undefined) top = node
    else parent.children.push(node)
    stack.push(node)
  })
  const addText = (part: string) => {
    const node = stack.at(-1)
    if (node !== undefined) node.text += part
  }
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('closetag', () => void stack.pop())
  try {
    parser.write(text).close()
  } catch (error) {
    // The parser throws of its own at some broken references.
    throw isFault(error) ? error : malformed('it is not well-formed')
  }
  const found = top as XmlNode | null
  if (found === null || found.name !== root) throw malformed(`${root} is expected`)
  return found
}

export const childOf = (node: XmlNode, name: string): XmlNode | undefined => node.children.find((child) => child.name === name)
export const childrenOf = (node: XmlNode, name: string): XmlNode[] => node.children.filter((child) => child.name === name)
export const textOf = (node: XmlNode, name: string): string | undefined => childOf(node, name)?.text.trim()

/** The text of an element that must be there. */
export function needText(node: XmlNode, name: string): string {
  const text = childOf(node, name)?.text
  if (text === undefined) throw malformed(`${name} is missing in ${node.name}`)
  return text
}

/** Refuses elements that are not known, so that nothing a client asks for is dropped silently. */
export function onlyChildren(node: XmlNode, names: readonly string[]): void {
  const odd = node.children.find((child) => !names.includes(child.name))
  if (odd !== undefined) throw malformed(`${odd.name} is not known in ${node.name}`)
}
