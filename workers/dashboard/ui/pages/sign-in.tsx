/** Signing in: domain, user, password, and a passcode where the account has one. */
import { signIn } from '../api/session.ts'
import { type Field, Form } from '../components/form.tsx'
import { useDoing } from '../components/hooks.ts'

const FIELDS: Field[] = [
  { name: 'user', label: 'User', autocomplete: 'username' },
  { name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' },
  { name: 'domain', label: 'Domain', value: 'Default' },
  { name: 'passcode', label: 'One-time passcode', optional: true, hint: 'Only where your account asks for one.' },
]

export function SignIn({ notice }: { notice: string }) {
  const doing = useDoing()
  return (
    <main class="sign-in">
      <h1>Sign in to Skyhook</h1>
      {notice !== '' && <p class="notice" role="status">{notice}</p>}
      <Form fields={FIELDS} submit="Sign in" doing={doing} onSubmit={(values) => void doing.run(() => signIn({ domain: values.text('domain'), name: values.text('user'), password: values.text('password'), passcode: values.text('passcode').trim() }))} />
    </main>
  )
}
