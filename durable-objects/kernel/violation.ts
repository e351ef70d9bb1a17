/** One broken invariant, said so that an operator can act on it. */
export interface Violation {
  /** 'server-on-one-host', 'volume-one-attachment', 'quota-is-sum', 'address-unique', 'reference-exists', 'no-overdue-state', 'host-converged', 'power-kept', 'object-readable', ... */
  invariant: string
  project_id: string | null
  /** What it is about: 'server 1234', 'volume 5678'. */
  resource: string
  message: string
}
