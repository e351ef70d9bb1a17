/** What can be done with a thing, or to make one: a button each, and a form where something is asked for first. */
import type { VNode } from 'preact'
import { useState } from 'preact/hooks'
import { type Field, Form, type Values } from './form.tsx'
import { useDoing } from './hooks.ts'
import { Done, Problem } from './notice.tsx'

export interface Deed<T> {
  label: string
  when?(row: T): boolean
  /** Asked for before it is done. */
  fields?(row: T): Promise<Field[]>
  /** Asks once more first. */
  grave?: boolean
  run(row: T, values: Values): Promise<unknown>
}

export interface Making {
  label: string
  fields(): Promise<Field[]>
  run(values: Values): Promise<unknown>
}

/** A form that is open: of which deed, with what. */
interface Open {
  key: string
  title: string
  submit: string
  fields: Field[]
  done: string
  run(values: Values): Promise<unknown>
}

const NO_VALUES: Values = { text: () => '', number: () => 0, file: () => null }

export interface Deeds<T> {
  /** The open form, or what came of the last deed. */
  panel: VNode
  open: boolean
  make(making: Making): void
  buttons(row: T): VNode[]
}

export function useDeeds<T>(deeds: Deed<T>[], idOf: (row: T) => string, nameOf: (row: T) => string, after: () => void): Deeds<T> {
  const doing = useDoing()
  const [open, setOpen] = useState<Open | null>(null)
  const finish = async (work: () => Promise<unknown>, done: string) => {
    if (!(await doing.run(work, done))) return
    setOpen(null)
    after()
  }
  const ask = (fields: Promise<Field[]>, rest: Omit<Open, 'fields'>) => void doing.run(async () => setOpen({ ...rest, fields: await fields }))
  const begin = (deed: Deed<T>, row: T) => {
    const title = `${deed.label}: ${nameOf(row)}`
    if (deed.fields === undefined && deed.grave !== true) return void finish(() => deed.run(row, NO_VALUES), title)
    ask(deed.fields?.(row) ?? Promise.resolve([]), { key: `${deed.label} ${idOf(row)}`, title, submit: deed.grave ? `Yes, ${deed.label.toLowerCase()} it` : deed.label, done: title, run: (values) => deed.run(row, values) })
  }
  return {
    open: open !== null,
    make: ({ label, fields, run }) => ask(fields(), { key: label, title: label, submit: label, done: `${label}: done`, run }),
    buttons: (row) => deeds.filter((deed) => deed.when?.(row) ?? true).map((deed) => <button key={deed.label} type="button" disabled={doing.busy} aria-label={`${deed.label} ${nameOf(row)}`} onClick={() => begin(deed, row)}>{deed.label}</button>),
    panel: (
      <>
        {open === null ? <Problem error={doing.error} /> : (
          <section class="panel" aria-label={open.title}>
            <h2>{open.title}</h2>
            <Form key={open.key} fields={open.fields} submit={open.submit} doing={doing} onCancel={() => setOpen(null)} onSubmit={(values) => void finish(() => open.run(values), open.done)} />
          </section>
        )}
        <Done text={doing.done} />
      </>
    ),
  }
}
