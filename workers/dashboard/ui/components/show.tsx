/** Small ways of showing things, the same on every page. */
import { bytesText } from './text.ts'

const GOOD = /^(active|available|in-use|running|up|enabled)$/i
const BAD = /error|down|failed|killed/i

export const Status = ({ value }: { value: string }) => <span class="status" data-kind={GOOD.test(value) ? 'good' : BAD.test(value) ? 'bad' : /ing|^build$|queued|importing|reboot|resize/i.test(value) ? 'moving' : 'calm'}>{value}</span>
export const Time = ({ value }: { value: string | null | undefined }) => (value ? <time dateTime={value}>{new Date(/Z$|[+-]\d\d:?\d\d$/.test(value) ? value : `${value}Z`).toLocaleString()}</time> : <>–</>)
export const Bytes = ({ value }: { value: number | null | undefined }) => <>{value === null || value === undefined ? '–' : bytesText(value)}</>
export const Id = ({ value }: { value: string }) => <code title={value}>{value.slice(0, 8)}</code>
export const Link = ({ to, children }: { to: string; children: string }) => <a href={`#${to}`}>{children === '' ? '(no name)' : children}</a>
