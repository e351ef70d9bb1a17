/** A page of one kind of resource: the table, the form that makes one, and what can be done with each row. Pages say what, this says how. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { type Field, Form, type Values } from './form.tsx'
import { useDoing, useLoad } from './hooks.ts'
import { Done, Problem } from './notice.tsx'

export interface Column<T> {
  title: string
  cell(row: T): ComponentChildren
  numeric?: boolean
}

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

export interface ListingProps<T> {
  title: string
  /** Tells one list from another of the same kind. */
  name?: string
  load(): Promise<T[]>
  columns: Column<T>[]
  idOf(row: T): string
  nameOf(row: T): string
  deeds?: Deed<T>[]
  making?: Making
  empty?: string
  refresh_ms?: number
  children?: ComponentChildren
}

const NO_VALUES: Values = { text: () => '', number: () => 0, file: () => null }
type Open<T> = { deed: Deed<T>; row: T; fields: Field[] } | { making: Making; fields: Field[] } | null

export function Listing<T>(props: ListingProps<T>) {
  const { title, columns, idOf, nameOf, deeds = [], making } = props
  const { data, error, reload } = useLoad(props.load, props.name ?? title, props.refresh_ms ?? 0)
  const doing = useDoing()
  const [open, setOpen] = useState<Open<T>>(null)
  const finish = async (work: () => Promise<unknown>, done: string) => {
    if (await doing.run(work, done)) {
      setOpen(null)
      reload()
    }
  }
  const begin = (deed: Deed<T>, row: T) => {
    if (deed.fields === undefined && deed.grave !== true) return void finish(() => deed.run(row, NO_VALUES), `${deed.label}: ${nameOf(row)}`)
    void doing.run(async () => setOpen({ deed, row, fields: (await deed.fields?.(row)) ?? [] }))
  }
  return (
    <section aria-labelledby="title">
      <div class="title">
        <h1 id="title" tabIndex={-1}>{title}</h1>
        {making !== undefined && open === null && <button type="button" class="primary" onClick={() => void doing.run(async () => setOpen({ making, fields: await making.fields() }))}>{making.label}</button>}
      </div>
      {props.children}
      {open !== null && (
        <section class="panel" aria-label={'deed' in open ? open.deed.label : open.making.label}>
          <h2>{'deed' in open ? `${open.deed.label}: ${nameOf(open.row)}` : open.making.label}</h2>
          {'deed' in open
            ? <Form key={`${open.deed.label} ${idOf(open.row)}`} fields={open.fields} submit={open.deed.grave ? `Yes, ${open.deed.label.toLowerCase()} it` : open.deed.label} doing={doing} onCancel={() => setOpen(null)} onSubmit={(values) => void finish(() => open.deed.run(open.row, values), `${open.deed.label}: ${nameOf(open.row)}`)} />
            : <Form key={open.making.label} fields={open.fields} submit={open.making.label} doing={doing} onCancel={() => setOpen(null)} onSubmit={(values) => void finish(() => open.making.run(values), `${open.making.label}: done`)} />}
        </section>
      )}
      {open === null && <Problem error={doing.error} />}
      <Done text={doing.done} />
      <Problem error={error} />
      {data === null ? error === null && <p class="empty">Loading …</p> : data.length === 0 ? <p class="empty">{props.empty ?? `No ${title.toLowerCase()} yet.`}</p> : <Table {...{ columns, deeds, idOf, nameOf, title }} rows={data} busy={doing.busy} begin={begin} />}
    </section>
  )
}

interface TableProps<T> {
  title: string
  columns: Column<T>[]
  rows: T[]
  deeds: Deed<T>[]
  idOf(row: T): string
  nameOf(row: T): string
  busy: boolean
  begin(deed: Deed<T>, row: T): void
}

function Table<T>({ title, columns, rows, deeds, idOf, nameOf, busy, begin }: TableProps<T>) {
  return (
    <div class="scroll">
      <table>
        <caption class="unseen">{title}</caption>
        <thead>
          <tr>
            {columns.map((column) => <th key={column.title} scope="col" class={column.numeric ? 'numeric' : undefined}>{column.title}</th>)}
            {deeds.length > 0 && <th scope="col">Actions</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={idOf(row)}>
              {columns.map((column, at) => at === 0 ? <th key={column.title} scope="row">{column.cell(row)}</th> : <td key={column.title} class={column.numeric ? 'numeric' : undefined}>{column.cell(row)}</td>)}
              {deeds.length > 0 && (
                <td class="deeds">
                  {deeds.filter((deed) => deed.when?.(row) ?? true).map((deed) => <button key={deed.label} type="button" disabled={busy} aria-label={`${deed.label} ${nameOf(row)}`} onClick={() => begin(deed, row)}>{deed.label}</button>)}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
