/** Scripted trouble for a simulated host: the next calls of a step fail or wait, before the deed or after it (done, but never reported). */
import { sleep, type Timers } from '../timers.ts'

export interface ScriptedFault {
  /** A driver's method: 'ensure', 'ensurePort', 'snapshotRoot'... '*' is any. */
  step: string
  /** Only for this id; any where left out. */
  id?: string
  when?: 'before' | 'after'
  times?: number
  error?: Error
  delay_ms?: number
}

export class FaultScript {
  private script: ScriptedFault[] = []
  /** Every call seen, for assertions. */
  readonly calls: { step: string; id: string }[] = []
  private timers: Timers

  constructor(timers: Timers) {
    this.timers = timers
  }

  /** Fails the next `times` calls. */
  fail(step: string, options: Omit<ScriptedFault, 'step' | 'delay_ms'> = {}): void {
    this.script.push({ ...options, step, error: options.error ?? new Error(`scripted failure of ${step}`) })
  }

  delay(step: string, delay_ms: number, options: Pick<ScriptedFault, 'id' | 'when' | 'times'> = {}): void {
    this.script.push({ ...options, step, delay_ms })
  }

  clear(): void {
    this.script = []
  }

  /** What a fake driver calls. `alive` is false once the agent it belongs to has crashed: a dead process does nothing more. */
  hook(alive: () => boolean): (when: 'before' | 'after', step: string, id: string) => Promise<void> {
    return async (when, step, id) => {
      if (!alive()) throw new Error('the agent has crashed')
      if (when === 'before') {
        this.calls.push({ step, id })
        if (this.calls.length > 10_000) this.calls.splice(0, 5_000)
      }
      const found = this.script.find((one) => (one.step === step || one.step === '*') && (one.when ?? 'before') === when && (one.id === undefined || one.id === id))
      if (!found) return
      found.times = (found.times ?? 1) - 1
      if (found.times <= 0) this.script.splice(this.script.indexOf(found), 1)
      if (found.delay_ms !== undefined) await sleep(this.timers, found.delay_ms)
      if (!alive()) throw new Error('the agent has crashed')
      if (found.error) throw found.error
    }
  }
}
