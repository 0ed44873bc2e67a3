/** What the application knows, and pure steps from one state of it to the next. */

import type { CaseData, Landmark, Position, Segment, Side } from '../data.ts'
import type { CaseDetail, CaseItem, CaseState, Mark } from './api.ts'
import { add } from './tiles.ts'

/** Landmarks of a pose as the viewer draws them. */
export function drawnPose(
  detail: CaseDetail,
  marks: readonly Mark[],
): Pick<CaseData, 'landmarks' | 'segments'> {
  const known = detail.skeleton.landmarks
  const rowOf = new Map(known.map((landmark, row) => [landmark.name, row]))
  const landmarks: Landmark[] = marks.map((mark, row) => ({
    name: mark.name,
    side: known[row]?.side ?? 'midline',
    position_mm: mark.position,
    confidence: mark.confidence,
  }))
  const segments: Segment[] = detail.skeleton.segments.flatMap(({ start, end, side }) => {
    const [first, last] = [rowOf.get(start), rowOf.get(end)]
    return first === undefined || last === undefined ? [] : [{ start: first, end: last, side }]
  })
  return { landmarks, segments }
}

/** Colour of each side, as the skeleton names it. */
export function sideColors(detail: CaseDetail): Record<Side, string> {
  const colors: Record<Side, string> = { left: '#62a8ee', right: '#f9a453', midline: '#ffffff' }
  for (const { side, color } of detail.skeleton.landmarks) colors[side] = color
  return colors
}

/** The same marks with one of them at another place. */
export function withPosition(marks: readonly Mark[], row: number, position: Position): Mark[] {
  return marks.map((mark, n) => (n === row ? { ...mark, position } : mark))
}

/** Row after another one, in a circle; from none to the first or the last. */
export function nextRow(row: number | null, step: 1 | -1, count: number): number {
  if (row === null) return step === 1 ? 0 : count - 1
  return (row + step + count) % count
}

/**
 * Row of the landmark that needs a person most after this one: missing ones first, then by
 * confidence; null if all are reviewed.
 */
export function nextDoubtful(marks: readonly Mark[], row: number | null): number | null {
  const waiting = marks.flatMap((mark, n) => (mark.review === 'machine' && n !== row ? [n] : []))
  const doubt = (n: number) => (marks[n]?.position == null ? -1 : (marks[n]?.confidence ?? 0))
  return waiting.toSorted((a, b) => doubt(a) - doubt(b))[0] ?? null
}

/** Name of the case to do after this one: the next in the list that is to do, else the first. */
export function nextCase(items: readonly CaseItem[], current: string): string | null {
  const at = items.findIndex((item) => item.name === current)
  const waits = (item: CaseItem) => item.state === 'todo' && item.name !== current
  return (items.slice(at + 1).find(waits) ?? items.find(waits))?.name ?? null
}

/** Share of the cases that a person has finished, and the numbers behind it. */
export function progressOf(counts: Readonly<Record<CaseState, number>>): {
  finished: number
  total: number
} {
  const finished = counts.done + counts.problem
  return { finished, total: finished + counts.todo }
}

/** Whether two answers show the same case after the same corrections. */
export function isSame(one: CaseDetail, other: CaseDetail): boolean {
  const last = (detail: CaseDetail) => detail.history.entries.at(-1)?.id
  return (
    one.name === other.name &&
    one.history.entries.length === other.history.entries.length &&
    last(one) === last(other) &&
    one.volume_key === other.volume_key &&
    one.error === other.error &&
    one.prediction.every((mark, row) => {
      const then = other.prediction[row]?.position
      return mark.position?.every((value, axis) => value === then?.[axis]) ?? then == null
    })
  )
}

/** Keys that move a landmark by a step, LPS: as on the screen in a transverse slice, and up and down. */
const NUDGES: Readonly<Record<string, Position>> = {
  ArrowLeft: [1, 0, 0],
  ArrowRight: [-1, 0, 0],
  ArrowUp: [0, -1, 0],
  ArrowDown: [0, 1, 0],
  PageUp: [0, 0, 1],
  PageDown: [0, 0, -1],
}

/** The place after a key has moved a landmark by `stepMm`, or null for another key. */
export function nudged(point: Position, key: string, stepMm: number): Position | null {
  const step = NUDGES[key]
  return step === undefined ? null : add(point, [step[0] * stepMm, step[1] * stepMm, step[2] * stepMm])
}

/** Name of the case in the fragment of an address, or null. */
export function caseInFragment(fragment: string): string | null {
  const name = /^#case=(.+)$/.exec(fragment)?.[1]
  if (name === undefined) return null
  try {
    return decodeURIComponent(name)
  } catch {
    return null
  }
}

export function fragmentOf(name: string): string {
  return `#case=${encodeURIComponent(name)}`
}
