/** Loading and doing, with what went wrong kept beside it. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'

export interface Loaded<T> {
  data: T | null
  error: Error | null
  reload(): void
}

/** Loads now, whenever `key` changes, and every `every_ms` while the page is seen. What was there stays until the new is. */
export function useLoad<T>(load: () => Promise<T>, key: string, every_ms = 0): Loaded<T> {
  const [state, setState] = useState<{ key: string; data: T | null; error: Error | null }>({ key, data: null, error: null })
  const latest = useRef(load)
  latest.current = load
  const turn = useRef(0)
  const reload = useCallback(() => {
    const mine = ++turn.current
    latest.current().then(
      (data) => mine === turn.current && setState({ key, data, error: null }),
      (error: Error) => mine === turn.current && setState((before) => ({ key, data: before.key === key ? before.data : null, error })),
    )
  }, [key])
  useEffect(() => {
    reload()
    const timer = every_ms === 0 ? undefined : setInterval(() => document.visibilityState === 'visible' && reload(), every_ms)
    return () => {
      turn.current++
      clearInterval(timer)
    }
  }, [reload, every_ms])
  return { data: state.key === key ? state.data : null, error: state.error, reload }
}

export interface Doing {
  busy: boolean
  error: Error | null
  done: string
  run(work: () => Promise<unknown>, done?: string): Promise<boolean>
}

/** One deed at a time; true where it succeeded. */
export function useDoing(): Doing {
  const [state, setState] = useState<{ busy: boolean; error: Error | null; done: string }>({ busy: false, error: null, done: '' })
  const run = async (work: () => Promise<unknown>, done = ''): Promise<boolean> => {
    setState({ busy: true, error: null, done: '' })
    try {
      await work()
      setState({ busy: false, error: null, done })
      return true
    } catch (error) {
      setState({ busy: false, error: error as Error, done: '' })
      return false
    }
  }
  return { ...state, run }
}
