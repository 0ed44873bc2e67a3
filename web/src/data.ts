/** What a page holds as JSON. The Python package writes it; see `fetusmap.report.page_data`. */

export type Side = 'left' | 'right' | 'midline'
export type Position = readonly [number, number, number]

/** A landmark: its position in LPS mm, or null if it is absent. */
export interface Landmark {
  readonly name: string
  readonly side: Side
  readonly position_mm: Position | null
  readonly confidence: number
}

/** A bone between two landmarks, by their rows. */
export interface Segment {
  readonly start: number
  readonly end: number
  readonly side: Side
}

/** A growth chart: mean and standard deviation in mm on consecutive days. */
export interface Chart {
  readonly first_day: number
  readonly mean_mm: readonly number[]
  readonly sd_mm: readonly number[]
}

export interface CaseData {
  readonly landmarks: readonly Landmark[]
  readonly segments: readonly Segment[]
  readonly colors: Readonly<Record<Side, string>>
  readonly crown_rump_length_mm: number | null
  readonly chart: Chart
}

/** Read a JSON block of the page. */
export function readJson<T>(id: string): T {
  return JSON.parse(requireElement(id).textContent ?? '') as T
}

/** Find an element that the page's template contains. */
export function requireElement(id: string): HTMLElement {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`the page has no element ${id}`)
  return element
}
