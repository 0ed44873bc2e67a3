/** A pose as a graph of nodes and edges, in the viewer's RAS frame. */

import type { Landmark, Position, Segment, Side } from './data.ts'

export interface Node {
  name: string
  x: number
  y: number
  z: number
  colorValue: number
  sizeValue: number
}

export interface Edge {
  first: number
  second: number
  colorValue: number
}

/** The radius of an edge follows its value, so values that differ by 1 % give equal thickness. */
export const EDGE_VALUES: Readonly<Record<Side, number>> = { left: 1, right: 1.01, midline: 1.02 }

/** Value of a node that is selected; confidences are from 0 to 1, and values start at 1. */
export const SELECTED_VALUE = 2.2

/**
 * Nodes of the landmarks that are present and edges between them.
 *
 * @param selected row of the selected landmark, or null
 */
export function graphOf(
  landmarks: readonly Landmark[],
  segments: readonly Segment[],
  selected: number | null,
): { nodes: Node[]; edges: Edge[] } {
  const nodes: Node[] = []
  const nodeOfRow = new Map<number, number>()
  landmarks.forEach((landmark, row) => {
    if (landmark.position_mm === null) return
    const [x, y, z] = flipFrame(landmark.position_mm)
    const isSelected = row === selected
    nodeOfRow.set(row, nodes.length)
    nodes.push({
      name: '', // the viewer would draw names as labels; the page lists them
      x,
      y,
      z,
      colorValue: isSelected ? SELECTED_VALUE : 1 + landmark.confidence,
      sizeValue: isSelected ? 1.6 : 1,
    })
  })
  const edges: Edge[] = []
  for (const segment of segments) {
    const first = nodeOfRow.get(segment.start)
    const second = nodeOfRow.get(segment.end)
    if (first === undefined || second === undefined) continue
    edges.push({ first, second, colorValue: EDGE_VALUES[segment.side] })
  }
  return { nodes, edges }
}

/** LPS to RAS or back: both frames differ in the sign of the first two axes. */
export function flipFrame([x, y, z]: Position): [number, number, number] {
  return [-x, -y, z]
}

/** Row of the landmark that lies nearest to a point (LPS mm), at most `limitMm` away, or null. */
export function nearestLandmark(
  landmarks: readonly Landmark[],
  point: Position,
  limitMm: number,
): number | null {
  let best: number | null = null
  let bestMm = limitMm
  landmarks.forEach(({ position_mm: at }, row) => {
    if (at === null) return
    const away = Math.hypot(at[0] - point[0], at[1] - point[1], at[2] - point[2])
    if (away <= bestMm) [best, bestMm] = [row, away]
  })
  return best
}

/** Centre of the landmarks that are present, LPS mm, or null if all are absent. */
export function centerOf(landmarks: readonly Landmark[]): Position | null {
  const known = landmarks.flatMap(({ position_mm }) => (position_mm === null ? [] : [position_mm]))
  if (known.length === 0) return null
  const mean = (axis: 0 | 1 | 2) => known.reduce((sum, at) => sum + at[axis], 0) / known.length
  return [mean(0), mean(1), mean(2)]
}
