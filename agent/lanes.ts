/** One thing at a time per key, in order of arrival; different keys side by side: a machine is never rebooted in the middle of its own reconfiguration. In process only. */
export class Lanes {
  private tails = new Map<string, Promise<unknown>>()

  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const previous = this.tails.get(key) ?? Promise.resolve()
    const result = previous.then(work, work)
    const tail = result.then(() => {}, () => {}).then(() => {
      if (this.tails.get(key) === tail) this.tails.delete(key)
    })
    this.tails.set(key, tail)
    return result
  }

  busy(key: string): boolean {
    return this.tails.has(key)
  }
}
