/**
 * The edge refuses large bodies before the Worker runs; on one machine we do it ourselves, with the same status. A body that announces its length is judged by it; one that
 * does not (chunked) is counted while it passes and broken off at the limit.
 */
import { Fault } from '../../schema/values/fault.ts'

const tooLarge = (bytes: string, max: number): Fault => new Fault('too_large', `The body has ${bytes} bytes; this endpoint takes at most ${max}. Send it in segments, or through a door on site.`)

export interface Limited {
  request: Request
  /** The refusal, once known: asked before the request is handled, and again after it. */
  refusal(): Fault | null
}

/** `max`: bytes; 0 is no limit. */
export function limitBody(request: Request, max: number): Limited {
  const free = { request, refusal: () => null }
  if (max === 0) return free
  const announced = request.headers.get('content-length')
  if (announced !== null) return { request, refusal: () => (Number(announced) > max ? tooLarge(announced, max) : null) }
  const { body } = request
  if (body === null) return free
  let seen = 0
  const counted = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        seen += chunk.length
        if (seen > max) controller.error(tooLarge(`more than ${max}`, max))
        else controller.enqueue(chunk)
      },
    }),
  )
  return { request: new Request(request, { body: counted, duplex: 'half' } as RequestInit), refusal: () => (seen > max ? tooLarge(`more than ${max}`, max) : null) }
}
