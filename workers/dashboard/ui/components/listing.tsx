/** A page of one kind of resource: the table, the form that makes one, and what can be done with each row. Pages say what, this says how. */
import type { ComponentChildren } from 'preact'
import { type Deed, type Deeds, type Making, useDeeds } from './deeds.tsx'
import { useLoad } from './hooks.ts'
import { Problem } from './notice.tsx'

export interface Column<T> {
  title: string
  cell(row: T): ComponentChildren
  numeric?: boolean
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

export function Listing<T>(props: ListingProps<T>) {
  const { title, columns, idOf, nameOf, deeds = [], making } = props
  const { data, error, reload } = useLoad(props.load, props.name ?? title, props.refresh_ms ?? 0)
  const doing = useDeeds(deeds, idOf, nameOf, reload)
  return (
    <section aria-labelledby="title">
      <div class="title">
        <h1 id="title" tabIndex={-1}>{title}</h1>
        {making !== undefined && !doing.open && <button type="button" class="primary" onClick={() => doing.make(making)}>{making.label}</button>}
      </div>
      {props.children}
      {doing.panel}
      <Problem error={error} />
      {data === null ? error === null && <p class="empty">Loading …</p> : data.length === 0 ? <p class="empty">{props.empty ?? `No ${title.toLowerCase()} yet.`}</p> : <Table {...{ title, columns, idOf }} rows={data} doing={deeds.length > 0 ? doing : null} />}
    </section>
  )
}

interface TableProps<T> {
  title: string
  columns: Column<T>[]
  rows: T[]
  idOf(row: T): string
  doing: Deeds<T> | null
}

function Table<T>({ title, columns, rows, idOf, doing }: TableProps<T>) {
  return (
    <div class="scroll">
      <table>
        <caption class="unseen">{title}</caption>
        <thead>
          <tr>
            {columns.map((column) => <th key={column.title} scope="col" class={column.numeric ? 'numeric' : undefined}>{column.title}</th>)}
            {doing !== null && <th scope="col">Actions</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={idOf(row)}>
              {columns.map((column, at) => at === 0 ? <th key={column.title} scope="row">{column.cell(row)}</th> : <td key={column.title} class={column.numeric ? 'numeric' : undefined}>{column.cell(row)}</td>)}
              {doing !== null && <td class="deeds">{doing.buttons(row)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
