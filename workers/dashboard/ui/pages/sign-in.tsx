/** Signing in: domain, user, password. */
import { signIn } from '../api/session.ts'
import { type Field, Form } from '../components/form.tsx'
import { useDoing } from '../components/hooks.ts'

const FIELDS: Field[] = [
  { name: 'user', label: 'User', autocomplete: 'username' },
  { name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' },
  { name: 'domain', label: 'Domain', value: 'Default' },
]

export function SignIn({ notice }: { notice: string }) {
  const doing = useDoing()
  return (
    <main class="sign-in">
      <h1>Sign in to Skyhook</h1>
      {notice !== '' && <p class="notice" role="status">{notice}</p>}
      <Form fields={FIELDS} submit="Sign in" doing={doing} onSubmit={(values) => void doing.run(() => signIn(values.text('domain'), values.text('user'), values.text('password')))} />
    </main>
  )
}
