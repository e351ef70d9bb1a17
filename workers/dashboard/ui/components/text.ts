/** Texts for figures. Pure. */
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

export function bytesText(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** A name, or the beginning of an id where there is none. */
export const nameOr = (name: string | null | undefined, id: string): string => (name ? name : id.slice(0, 8))
/** Hash routes: '/servers/ID' -> ['servers', 'ID']. */
export const routeOf = (hash: string): string[] => hash.replace(/^#?\/?/, '').split('/').filter((part) => part !== '').map((part) => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
})
