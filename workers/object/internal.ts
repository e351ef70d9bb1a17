/** PLACEHOLDER by the lead, to be replaced by the owner of workers/object. Signatures are the agreed ones. */
import type { Env } from '../../durable-objects/kernel/env.ts'
import type { ObjectHead } from '../../schema/agent/protocol.ts'
export interface PutInternalOptions { size_bytes: number | null; want?: { sha512?: boolean; inspect?: boolean }; metadata?: Record<string, string> }
export async function putInternal(_env: Env, _account: string, _container: string, _object: string, _body: ReadableStream<Uint8Array>, _options: PutInternalOptions): Promise<ObjectHead> { throw new Error('not yet') }
export async function getInternal(_env: Env, _account: string, _container: string, _object: string, _range?: [number, number] | null): Promise<{ head: ObjectHead; body: ReadableStream<Uint8Array> }> { throw new Error('not yet') }
export async function deleteInternal(_env: Env, _account: string, _container: string, _object: string): Promise<void> { throw new Error('not yet') }
