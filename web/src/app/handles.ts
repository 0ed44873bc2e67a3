/** Rings around landmarks over the slices: what can be dragged, and where it was predicted. */

import type { Position } from '../data.ts'
import { placeOf, type Tile } from './tiles.ts'

const RING_PX = 6
const SELECTED_RING_PX = 12
const COLORS = { ring: '#e8ecf1', selected: '#ffd166', shade: '#12161d' }

interface Handles {
  readonly points: readonly (Position | null)[]
  readonly selected: number | null
  readonly predicted: Position | null
  readonly slabMm: number
}

/** Draw the rings of the landmarks near each slice, and of the selected one in every view. */
export function drawHandles(
  canvas: HTMLCanvasElement,
  box: HTMLElement,
  tiles: readonly Tile[],
  { points, selected, predicted, slabMm }: Handles,
): void {
  const context = canvas.getContext('2d')
  if (context === null) return
  fit(canvas, box, context)
  for (const tile of tiles) {
    context.save()
    context.beginPath()
    context.rect(tile.left, tile.top, tile.width, tile.height)
    context.clip()
    points.forEach((point, row) => {
      if (point === null || (tile.kind === '3d' && row !== selected)) return
      const { x, y, depthMm } = placeOf(tile, point)
      if (tile.kind === 'slice' && Math.abs(depthMm) > slabMm) return
      const [radius, color] = row === selected ? [SELECTED_RING_PX, COLORS.selected] : [RING_PX, COLORS.ring]
      stroke(context, color, () => context.arc(x, y, radius, 0, 2 * Math.PI))
    })
    const point = selected === null ? null : (points[selected] ?? null)
    if (predicted !== null) drawPredicted(context, tile, predicted, point)
    context.restore()
  }
}

/** A cross where the selected landmark was predicted, and a line from there to where it is. */
function drawPredicted(
  context: CanvasRenderingContext2D,
  tile: Tile,
  predicted: Position,
  point: Position | null,
): void {
  const from = placeOf(tile, predicted)
  stroke(context, COLORS.selected, () => {
    for (const [dx, dy] of [[5, 5], [5, -5]] as const) {
      context.moveTo(from.x - dx, from.y - dy)
      context.lineTo(from.x + dx, from.y + dy)
    }
    if (point === null) return
    const to = placeOf(tile, point)
    context.moveTo(from.x, from.y)
    context.lineTo(to.x, to.y)
  })
}

function stroke(context: CanvasRenderingContext2D, color: string, path: () => void): void {
  for (const [style, width] of [[COLORS.shade, 3], [color, 1.5]] as const) {
    context.beginPath()
    path()
    context.strokeStyle = style
    context.lineWidth = width
    context.stroke()
  }
}

function fit(canvas: HTMLCanvasElement, box: HTMLElement, context: CanvasRenderingContext2D): void {
  const ratio = window.devicePixelRatio
  const [width, height] = [Math.round(box.clientWidth * ratio), Math.round(box.clientHeight * ratio)]
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, box.clientWidth, box.clientHeight)
}
