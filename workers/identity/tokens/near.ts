/**
 * On one machine the Identity object lives in the process that asks it: what it has just rendered for a token is then read without a message, as long as nothing was
 * written since and the caller is admitted, and who logs in again does it without one. Nothing is read here but memory. At the edge the object lives wherever it does, so there it is always asked (NEAR is not set).
 */
import type { Env } from '../../../durable-objects/kernel/env.ts'
import type { Caller } from '../../../schema/values/caller.ts'
import type { Form } from './scope.ts'
import type { Standing } from './standing.ts'
import type { Validations } from './validations.ts'

interface Near {
  validations: Validations
  standing: Standing
  admits(caller: Caller): boolean
}

/** By the name that one machine's plane has for itself. A new instance takes the place of the one before, which changes no more. */
const instances = new Map<string, Near>()

export function standNear(env: Env, near: Near): void {
  if (env.NEAR) instances.set(env.NEAR, near)
}

/** The JSON of a token, where it is at hand; null: ask the object. */
export function nearText(env: Env, caller: Caller, subject: Caller, form: Form): string | null {
  const near = env.NEAR ? instances.get(env.NEAR) : undefined
  return near?.admits(caller) === true ? near.validations.atHand(subject, form) : null
}

/** Logins of those who come again, where they are at hand. */
export const nearStanding = (env: Env): Standing | null => (env.NEAR ? (instances.get(env.NEAR)?.standing ?? null) : null)
