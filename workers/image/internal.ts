/** PLACEHOLDER by the lead, to be replaced by the owner of workers/image. Signatures are the agreed ones. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ObjectHead } from '../../schema/agent/protocol.ts'
export async function imageBytes(_env: Env, _ownerId: string, _imageId: string, _range?: [number, number] | null): Promise<{ body: ReadableStream<Uint8Array>; size_bytes: number }> { throw new Error('not yet') }
export async function receiveImage(_env: Env, _projectId: string, _imageId: string, _body: ReadableStream<Uint8Array>, _size: number | null): Promise<ObjectHead> { throw new Error('not yet') }
