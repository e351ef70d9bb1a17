/** Uploads by an HTML form whose limits are signed (swift/common/middleware/formpost.py). Fields come before files. */
import { swiftFault } from '../errors.ts'
import { type Metadata, deleteAtOf, guessType } from '../headers.ts'
import { sized } from '../listing.ts'
import { checkObjectName } from '../names.ts'
import { store } from '../object/put.ts'
import type { SwiftRequest } from '../request.ts'
import { parseSignature, signedPaths, signingKeys, verifies } from './tempurl.ts'

const unauthorized = (text: string) => swiftFault(401, `FormPost: ${text}`)

export async function formPost(request: SwiftRequest): Promise<Response> {
  const form = await readForm(request)
  const { fields, files } = form
  const { account, container, object } = request.names
  if (container === null) throw swiftFault(404)
  const field = (name: string) => fields.get(name) ?? ''
  if (!/^\d+$/.test(field('expires'))) throw swiftFault(400, 'FormPost: expired not an integer')
  if (Number(field('expires')) < request.now_s) throw unauthorized('Form Expired')
  const signature = parseSignature(field('signature'))
  const texts = signedPaths(request.path).map((path) => [path, field('redirect'), field('max_file_size'), field('max_file_count'), field('expires')].join('\n'))
  const found = signature === null ? undefined : (await signingKeys(request)).find(({ keys }) => verifies(keys, signature, texts))
  if (found === undefined) throw unauthorized('Invalid Signature')
  request.caller = null
  const finish = (status: number, text: string) => {
    const redirect = field('redirect')
    if (redirect === '') return sized(text, { 'content-type': 'text/html; charset=UTF-8' }, status)
    const url = new URL(redirect)
    url.searchParams.set('status', String(status))
    url.searchParams.set('message', status === 201 ? '' : text)
    return sized(`<html><body><p><a href="${url.href.replace(/"/g, '%22').replace(/&/g, '&amp;')}">Click to continue...</a></p></body></html>`, { 'content-type': 'text/html', location: url.href }, 303)
  }
  const [size_max, count_max] = [Number(field('max_file_size')), Number(field('max_file_count'))]
  if (!Number.isInteger(size_max) || size_max < 0) throw swiftFault(400, 'FormPost: max_file_size not an integer')
  if (!Number.isInteger(count_max)) throw swiftFault(400, 'FormPost: max_file_count not an integer')
  if (files.length > count_max) return finish(400, 'max file count exceeded')
  if (files.length === 0) return finish(400, 'no files to process')
  const extra = new Headers()
  for (const name of ['x_delete_at', 'x_delete_after']) if (fields.has(name)) extra.set(name.replace(/_/g, '-'), field(name))
  const deleteAt = deleteAtOf(extra, request.now_s)
  for (const { filename, type, bytes } of files) {
    if (bytes.byteLength > size_max) return finish(413, 'max_file_size exceeded')
    const target = { account, container, object: `${object ?? ''}${filename}` }
    checkObjectName(target.object)
    request.grant = { method: 'PUT', account, container, object: target.object, prefix: false, scope: found.scope }
    await request.needIn('object', 'put', container, target.object)
    const metadata: Metadata = deleteAt === null ? {} : { 'X-Delete-At': String(deleteAt) }
    await store(request, target, bytes, { metadata, content_type: type === '' ? guessType(filename) : type, size: bytes.byteLength, etag: null })
  }
  return finish(201, '')
}

interface Form {
  fields: Map<string, string>
  files: { filename: string; type: string; bytes: Uint8Array }[]
}

/** multipart/form-data, held in memory: the edge bounds a body long before. */
async function readForm(request: SwiftRequest): Promise<Form> {
  const boundary = /boundary="?([^";]+)"?/i.exec(request.headers.get('content-type') ?? '')?.[1]
  if (boundary === undefined) throw swiftFault(400, 'FormPost: invalid starting boundary')
  const body = Buffer.from(await request.request.arrayBuffer())
  const form: Form = { fields: new Map(), files: [] }
  const mark = Buffer.from(`--${boundary}`)
  let at = body.indexOf(mark)
  while (at >= 0) {
    const start = at + mark.byteLength
    if (body.subarray(start, start + 2).toString('latin1') === '--') break
    const headEnd = body.indexOf('\r\n\r\n', start)
    const next = headEnd < 0 ? -1 : body.indexOf(Buffer.concat([Buffer.from('\r\n'), mark]), headEnd + 2)
    if (headEnd < 0 || next < 0) break
    addPart(form, body.subarray(start + 2, headEnd).toString('utf8'), body.subarray(headEnd + 4, next))
    at = next + 2
  }
  return form
}

function addPart(form: Form, head: string, content: Buffer): void {
  const disposition = /^content-disposition:\s*form-data;?(.*)$/im.exec(head)?.[1] ?? ''
  const name = /(?:^|[;\s])name="([^"]*)"/i.exec(disposition)?.[1] ?? ''
  const filename = /filename="([^"]*)"/i.exec(disposition)?.[1]
  if (filename !== undefined) {
    if (filename === '') return
    form.files.push({ filename, type: /^content-type:\s*(.+)$/im.exec(head)?.[1]?.trim() ?? '', bytes: new Uint8Array(content) })
  } else form.fields.set(name.toLowerCase(), content.toString('utf8').replace(/\r\n$/, ''))
}
