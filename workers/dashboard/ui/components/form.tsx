/** Forms from a list of fields: labelled, in order, the first one focused; where there is none, the way back. */
import { useEffect, useRef } from 'preact/hooks'
import type { Doing } from './hooks.ts'
import { Problem } from './notice.tsx'

export interface Choice {
  value: string
  label: string
}

export interface Field {
  name: string
  label: string
  type?: 'text' | 'password' | 'number' | 'select' | 'textarea' | 'file'
  choices?: Choice[]
  value?: string
  optional?: boolean
  hint?: string
  autocomplete?: 'username' | 'current-password' | 'off'
}

export interface Values {
  text(name: string): string
  number(name: string): number
  file(name: string): File | null
}

const valuesOf = (form: HTMLFormElement): Values => {
  const data = new FormData(form)
  const text = (name: string) => String(data.get(name) ?? '')
  return {
    text: (name) => text(name).trim() === '' ? '' : text(name),
    number: (name) => Number(text(name)),
    file: (name) => {
      const found = data.get(name)
      return found instanceof File && found.name !== '' ? found : null
    },
  }
}

function Input({ field }: { field: Field }) {
  const common = { id: `field-${field.name}`, name: field.name, required: field.optional !== true, 'aria-describedby': field.hint === undefined ? undefined : `hint-${field.name}` }
  if (field.type === 'select') return <select {...common} defaultValue={field.value}>{(field.choices ?? []).map(({ value, label }) => <option key={value} value={value} selected={value === field.value}>{label}</option>)}</select>
  if (field.type === 'textarea') return <textarea {...common} rows={4} spellcheck={false}>{field.value ?? ''}</textarea>
  if (field.type === 'file') return <input {...common} type="file" />
  // The types of Preact want one element for each type of input.
  const kind = { type: field.type ?? 'text', ...(field.type === 'number' ? { min: 0 } : {}) } as { type: 'text' }
  return <input {...common} {...kind} defaultValue={field.value} autocomplete={field.autocomplete ?? 'off'} spellcheck={false} />
}

interface FormProps {
  fields: Field[]
  submit: string
  doing: Doing
  onSubmit(values: Values): void
  onCancel?(): void
}

export function Form({ fields, submit, doing, onSubmit, onCancel }: FormProps) {
  const form = useRef<HTMLFormElement>(null)
  useEffect(() => form.current?.querySelector<HTMLElement>('input, select, textarea, button[type=button]')?.focus(), [])
  return (
    <form
      ref={form}
      onSubmit={(event) => {
        event.preventDefault()
        if (!doing.busy && form.current !== null) onSubmit(valuesOf(form.current))
      }}
      onKeyDown={(event) => event.key === 'Escape' && onCancel?.()}
    >
      {fields.map((field) => (
        <div class="field" key={field.name}>
          <label for={`field-${field.name}`}>{field.label}</label>
          <Input field={field} />
          {field.hint !== undefined && <small id={`hint-${field.name}`}>{field.hint}</small>}
        </div>
      ))}
      <Problem error={doing.error} />
      <div class="buttons">
        <button type="submit" class="primary" disabled={doing.busy}>{doing.busy ? 'Working …' : submit}</button>
        {onCancel !== undefined && <button type="button" onClick={onCancel}>Cancel</button>}
      </div>
    </form>
  )
}
