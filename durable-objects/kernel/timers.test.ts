/** Waits of an object: each runs when it is due, none that was cancelled runs, and no timer below is ever cleared. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ObjectTimers, TICK_MS } from './timers.ts'

/** Time that goes on by `to`, and what is armed in it. */
function lab(clockOf: (now_ms: number) => number = (now_ms) => now_ms) {
  let now_ms = 1_000
  let armed: { at_ms: number; run: () => void }[] = []
  const seen = { armed: 0, most: 0 }
  const below = {
    after(delay_ms: number, run: () => void) {
      assert.ok(delay_ms >= 0 && delay_ms <= TICK_MS)
      armed.push({ at_ms: now_ms + delay_ms, run })
      seen.armed++
      seen.most = Math.max(seen.most, armed.length)
      return () => assert.fail('a timer was cleared')
    },
  }
  const timers = new ObjectTimers(below, { now_ms: () => clockOf(now_ms) })
  const to = (end_ms: number) => {
    for (;;) {
      const [next] = armed.filter((one) => one.at_ms <= end_ms).sort((a, b) => a.at_ms - b.at_ms)
      if (next === undefined) break
      armed = armed.filter((one) => one !== next)
      now_ms = next.at_ms
      next.run()
    }
    now_ms = end_ms
  }
  return { timers, to, seen, now: () => now_ms, left: () => armed.length }
}

test('each wait runs once, when it is due, and one that was cancelled never', () => {
  const steps = fc.array(fc.record({ gap_ms: fc.integer({ min: 0, max: 400 }), delay_ms: fc.integer({ min: 0, max: 5_000 }), cancel_ms: fc.option(fc.integer({ min: 0, max: 5_000 })) }), { maxLength: 60 })
  fc.assert(fc.property(steps, (all) => {
    const { timers, to, now, left } = lab()
    const ran: number[][] = all.map(() => [])
    const cancels: { at_ms: number; cancel: () => void }[] = []
    const until = (end_ms: number) => {
      for (const one of [...cancels].sort((a, b) => a.at_ms - b.at_ms)) {
        if (one.at_ms > end_ms) break
        to(one.at_ms)
        one.cancel()
        cancels.splice(cancels.indexOf(one), 1)
      }
      to(end_ms)
    }
    const due = all.map(({ gap_ms, delay_ms, cancel_ms }, n) => {
      until(now() + gap_ms)
      const at_ms = now() + delay_ms
      const cancel = timers.after(delay_ms, () => ran[n]?.push(now()))
      if (cancel_ms !== null) cancels.push({ at_ms: now() + cancel_ms, cancel })
      return cancel_ms !== null && cancel_ms < delay_ms ? [] : [at_ms]
    })
    until(now() + 20_000)
    assert.deepEqual(ran, due)
    assert.equal(left(), 0, 'nothing is armed for nobody')
  }))
})

test('a thousand transfers a second, each watched for a minute, are one timer a tick', () => {
  const { timers, to, seen, now, left } = lab()
  for (let n = 0; n < 10_000; n++) {
    const cancel = timers.after(60_000, () => assert.fail('this one has ended'))
    to(now() + 1)
    cancel()
  }
  assert.deepEqual([seen.armed <= 11, seen.most], [true, 1])
  to(now() + TICK_MS)
  assert.equal(left(), 0)
})

test('what one wait does when it is due does not keep the others from running', () => {
  const { timers, to, now } = lab()
  const ran: string[] = []
  const cancel = timers.after(11, () => ran.push('cancelled'))
  timers.after(10, () => {
    ran.push('first')
    cancel()
    timers.after(5, () => ran.push('later'))
    throw new Error('this one fails')
  })
  timers.after(10, () => ran.push('second'))
  assert.throws(() => to(now() + 10), /this one fails/)
  to(now() + 20)
  assert.deepEqual(ran, ['first', 'second', 'later'])
})

test('a clock that stands or is set back keeps nobody waiting', () => {
  for (const clockOf of [() => 1_000, (now_ms: number) => (now_ms < 3_000 ? now_ms : now_ms - 3_600_000)]) {
    const { timers, to, now, left } = lab(clockOf)
    const ran: number[] = []
    for (const delay_ms of [500, 2_500, 7_000]) timers.after(delay_ms, () => ran.push(now()))
    to(4_000)
    timers.after(1_500, () => ran.push(now()))
    to(20_000)
    assert.equal(ran.length, 4)
    for (const [n, due] of [1_500, 3_500, 5_500, 8_000].entries()) assert.ok((ran[n] ?? 0) >= due - 1_000 && (ran[n] ?? 0) <= due + 1_000, `${ran[n]} of ${due}`)
    assert.equal(left(), 0)
  }
})
