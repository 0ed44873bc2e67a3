/** Sorting, filtering and counting of the cases of a cohort. */

/** A case; the Python package writes it, see `fetusmap.report.cohort_page`. */
export interface Row {
  readonly case: string
  readonly is_done: boolean
  readonly quality: number | null
  readonly crown_rump_length_mm: number | null
  readonly age: string
  readonly age_days: number | null
  readonly remarks: string
  readonly warnings: string
  readonly changes: string
  readonly has_page: boolean
}

export type Column = 'case' | 'quality' | 'crown_rump_length_mm' | 'age_days' | 'remarks'
export type Show = 'all' | 'failed' | 'doubtful' | 'warned' | 'clear'

export interface Filter {
  readonly search: string
  readonly show: Show
  /** Only cases whose value lies in [low, high) of a column. */
  readonly range: { column: 'quality' | 'crown_rump_length_mm'; low: number; high: number } | null
}

export interface Bin {
  readonly low: number
  readonly high: number
  readonly count: number
}

const names = new Intl.Collator('en', { numeric: true })

/** A sorted copy. Failed cases come first in ascending order, so that the worst are on top. */
export function sorted(rows: readonly Row[], column: Column, descending: boolean): Row[] {
  const sign = descending ? -1 : 1
  return rows.toSorted((a, b) => sign * compare(a, b, column) || names.compare(a.case, b.case))
}

function compare(a: Row, b: Row, column: Column): number {
  if (column === 'case' || column === 'remarks') return names.compare(a[column], b[column])
  if (a.is_done !== b.is_done) return a.is_done ? 1 : -1
  return (a[column] ?? -1) - (b[column] ?? -1)
}

/** The rows that a filter lets through. */
export function filtered(rows: readonly Row[], { search, show, range }: Filter): Row[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  return rows.filter((row) => {
    if (!SHOWN[show](row)) return false
    if (range !== null) {
      const value = row[range.column]
      if (value === null || value < range.low || value >= range.high) return false
    }
    if (words.length === 0) return true
    const text = `${row.case} ${row.remarks} ${row.warnings} ${row.changes}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })
}

const SHOWN: Readonly<Record<Show, (row: Row) => boolean>> = {
  all: () => true,
  failed: (row) => !row.is_done,
  doubtful: (row) => row.is_done && row.remarks !== '',
  warned: (row) => row.warnings !== '',
  clear: (row) => row.is_done && row.remarks === '' && row.warnings === '',
}

/** Count values in bins of one width from `low` to `high`; the outer bins take what lies beyond. */
export function histogram(
  values: readonly (number | null)[],
  low: number,
  high: number,
  count: number,
): Bin[] {
  // Multiplied before divided, so that a value on an edge such as 0.95 lies above it.
  const edge = (bin: number) => low + (bin * (high - low)) / count
  const counts = Array.from({ length: count }, () => 0)
  for (const value of values) {
    if (value === null) continue
    const bin = Math.min(Math.max(Math.floor(((value - low) * count) / (high - low)), 0), count - 1)
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  return counts.map((number, bin) => ({
    low: bin === 0 ? -Infinity : edge(bin),
    high: bin === count - 1 ? Infinity : edge(bin + 1),
    count: number,
  }))
}
