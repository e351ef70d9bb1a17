/** Storms over objects with a model of what each may read as: for replicas and for erasure-coded objects alike. */
import assert from 'node:assert/strict'
import type { Answer } from '../support/cloud.ts'
import type { ObjectStorm } from './objects.ts'

export const NAMES = ['a', 'b', 'c', 'd', 'e', 'f']

/** What an object may read as: the last acknowledged state, and those of writes since that were not acknowledged. Null is gone. */
class Expected {
  #texts = new Map<string, (string | null)[]>()
  #marks = new Map<string, (string | undefined)[]>()

  texts = (name: string): (string | null)[] => this.#texts.get(name) ?? [null]
  marks = (name: string): (string | undefined)[] => this.#marks.get(name) ?? [undefined]

  wrote(name: string, text: string | null, isAcknowledged: boolean): void {
    this.#texts.set(name, isAcknowledged ? [text] : [...this.texts(name), text])
    this.#marks.set(name, isAcknowledged ? [undefined] : [...this.marks(name), undefined])
  }

  marked(name: string, mark: string, isAcknowledged: boolean): void {
    this.#marks.set(name, isAcknowledged ? [mark] : [...this.marks(name), mark])
  }
}

/** One run of the storm: hosts that go and come back, writes, reads, and what was wrong. */
export class StormRun {
  storm: ObjectStorm
  #hosts: number
  #awayMax: number
  expected = new Expected()
  away = new Map<number, 'cut' | 'crashed' | 'unmounted'>()
  acknowledged = 0
  mistakes: string[] = []
  /** Called after each write that was acknowledged: where faults are planted. */
  wrote: (name: string) => Promise<void> = async () => {}
  /** A disk was emptied, or a bit turned, and all has not been repaired since. */
  #isHurt = false

  /** `awayMax`: hosts that may be away at once, fewer than make an object unreadable. */
  constructor(storm: ObjectStorm, hosts: number, awayMax: number) {
    this.storm = storm
    this.#hosts = hosts
    this.#awayMax = awayMax
  }

  /** A host goes, in one of several ways. */
  async fail(): Promise<void> {
    const { world, hosts, disks } = this.storm.sim
    if (this.away.size >= this.#awayMax) return
    const host = world.random.below(this.#hosts)
    if (this.away.has(host)) return
    const how = (['cut', 'crashed', 'unmounted'] as const)[world.random.below(3)] ?? 'cut'
    if (how === 'cut') this.storm.sever(host)
    else if (how === 'crashed') hosts[host]?.crash()
    else disks[host]?.unmount('d1')
    this.away.set(host, how)
    // With one less to tell the new from the old.
    for (const name of NAMES) await this.read(name)
  }

  /** One comes back, and what it missed is brought to it before another may go: so no more than may be away hold something old. */
  async restore(host: number): Promise<void> {
    const how = this.away.get(host)
    if (how === 'cut') this.storm.mend(host)
    else if (how === 'crashed') await this.storm.sim.hosts[host]?.start()
    else this.storm.sim.disks[host]?.mount('d1')
    this.away.delete(host)
    await this.storm.sim.run(40_000, () => this.storm.sim.hosts.every((one, n) => this.away.has(n) || one.agent?.up === true))
    // Read before anything is repaired: what came back is old, and must not be believed.
    for (const name of NAMES) await this.read(name)
    if (this.away.size === 0) await this.repair()
  }

  /** Everyone is there: once the services have run nothing is "not now" any more. */
  async repair(): Promise<void> {
    await this.storm.pass()
    if (this.#isHurt) await this.storm.pass()
    this.#isHurt = false
    for (const name of NAMES) if ((await this.storm.get(name)).status === 503) this.mistakes.push(`${name} is not to be had though everyone is there`)
  }

  /** All is repaired: each object is to be had and right, and nothing was wrong before. */
  async healed(replay: string): Promise<void> {
    const before = this.mistakes.length
    for (const name of NAMES) {
      const got = await this.storm.get(name)
      if (got.status === 503) this.mistakes.push(`${name} is not to be had after healing`)
      await this.read(name)
    }
    assert.deepEqual(this.mistakes, [], `${replay} (${before} before healing)`)
  }

  async read(name: string): Promise<void> {
    const got = await this.storm.get(name)
    // "Not now" is no lie.
    if (got.status === 503) return
    const text = got.status === 404 ? null : got.text
    if (![200, 404].includes(got.status)) this.mistakes.push(`${name} answers ${got.status}: ${got.text.slice(0, 100)}`)
    else if (!this.expected.texts(name).includes(text)) this.mistakes.push(`${name} reads ${text}, should be one of ${JSON.stringify(this.expected.texts(name))}`)
    else if (text !== null && this.expected.texts(name).length === 1 && !this.expected.marks(name).includes(got.headers.get('x-object-meta-mark') ?? undefined)) this.mistakes.push(`${name} is marked ${got.headers.get('x-object-meta-mark')}, should be one of ${JSON.stringify(this.expected.marks(name))}`)
  }

  async write(n: number): Promise<void> {
    const { world } = this.storm.sim
    const name = world.pick(NAMES) ?? 'a'
    const kind = world.random.below(4)
    const count = (answer: Answer) => {
      if (answer.status < 300) this.acknowledged++
      return answer.status < 300
    }
    if (kind <= 1) {
      const text = `${name} ${n} ${'x'.repeat(world.random.below(300))}`
      const isAcknowledged = count(await this.storm.put(name, text))
      this.expected.wrote(name, text, isAcknowledged)
      if (isAcknowledged) await this.wrote(name)
    } else if (kind === 2) {
      const answer = await this.storm.delete(name)
      // Not found is an answer too: it is gone.
      this.expected.wrote(name, null, answer.status === 404 || count(answer))
    } else {
      const answer = await this.storm.post(name, `m${n}`)
      if (answer.status !== 404) this.expected.marked(name, `m${n}`, count(answer))
    }
  }

  /** A disk is lost for good, and an empty one is in its place: one at a time, until all is repaired. So what is acknowledged must bear that, also while others are away. */
  async lose(wipe: (host: number) => Promise<void>): Promise<void> {
    const { world } = this.storm.sim
    if (this.#isHurt && this.away.size === 0) await this.repair()
    const host = world.random.below(this.#hosts)
    if (this.#isHurt || this.away.has(host)) return
    this.#isHurt = true
    await wipe(host)
    for (const name of NAMES) await this.read(name)
  }

  async storms(operations: number, wipe: ((host: number) => Promise<void>) | null = null): Promise<void> {
    const { world } = this.storm.sim
    for (let n = 0; n < operations; n++) {
      const chance = world.random.below(10)
      const host = world.pick([...this.away.keys()])
      if (chance < 3) await this.fail()
      else if (chance < 5 && host !== undefined) await this.restore(host)
      if (world.oneIn(12) && this.away.size === 0 && !this.#isHurt) {
        this.storm.flipBit(world.random.below(this.#hosts))
        this.#isHurt = wipe !== null
      }
      await this.write(n)
      // What was just written, with as few hosts as there are, most of all.
      if (wipe !== null && world.oneIn(this.away.size === 0 ? 8 : 4)) await this.lose(wipe)
      await this.read(world.pick(NAMES) ?? 'a')
      await this.storm.sim.run(world.random.below(3_000))
    }
  }
}
