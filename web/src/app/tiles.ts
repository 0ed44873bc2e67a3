/** Geometry of the views on the screen: which point a pixel shows, and which landmark it hits. */

import type { Position } from '../data.ts'

/**
 * A slice, or a parallel projection of the whole scene, on the screen: pixel (x, y) shows the point
 * `origin + x * right + y * down`, LPS mm, and all points in front of it and behind it. Pixels are
 * those of CSS, from the upper left corner of the canvas.
 */
export interface Tile {
  readonly kind: 'slice' | '3d'
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
  readonly origin: Position
  readonly right: Position
  readonly down: Position
}

/** A point on a slice, and how far it lies in front of it (mm, signed). */
export interface Place {
  readonly x: number
  readonly y: number
  readonly depthMm: number
}

type Box = readonly [left: number, top: number, width: number, height: number]

/** Make the tile of a slice from three of its pixels and the points that they show. */
export function sliceTile(
  box: Box,
  pointOf: (x: number, y: number) => Position,
): Tile {
  const [left, top, width, height] = box
  const corner = pointOf(left, top)
  const right = scale(subtract(pointOf(left + width, top), corner), 1 / width)
  const down = scale(subtract(pointOf(left, top + height), corner), 1 / height)
  const origin = subtract(subtract(corner, scale(right, left)), scale(down, top))
  return { kind: 'slice', left, top, width, height, origin, right, down }
}

/** Make the tile of a parallel projection from the pixels on which it shows points. */
export function projectionTile(box: Box, pixelOf: (point: Position) => [number, number]): Tile {
  const [left, top, width, height] = box
  const [x, y] = pixelOf([0, 0, 0])
  const units: Position[] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
  const [a, b, c] = units.map(pixelOf) as [Pixel, Pixel, Pixel]
  const right = inverse([a[0] - x, b[0] - x, c[0] - x])
  const down = inverse([a[1] - y, b[1] - y, c[1] - y])
  const origin = add(scale(right, -x), scale(down, -y))
  return { kind: '3d', left, top, width, height, origin, right, down }
}

type Pixel = [number, number]

/** The direction along which a linear function with this gradient grows by 1. */
function inverse(gradient: Position): Position {
  return scale(gradient, 1 / dot(gradient, gradient))
}

/** The tile under a pixel, or null. */
export function tileAt(tiles: readonly Tile[], x: number, y: number): Tile | null {
  const inside = (tile: Tile) =>
    x >= tile.left && x <= tile.left + tile.width && y >= tile.top && y <= tile.top + tile.height
  return tiles.find(inside) ?? null
}

/** The point (LPS mm) that a pixel shows, moved out of the slice by `depthMm`. */
export function pointAt(tile: Tile, { x, y, depthMm }: Place): Position {
  const inSlice = add(add(tile.origin, scale(tile.right, x)), scale(tile.down, y))
  return add(inSlice, scale(normalOf(tile), depthMm))
}

/** Where a point (LPS mm) is seen on a slice. */
export function placeOf(tile: Tile, point: Position): Place {
  const away = subtract(point, tile.origin)
  const depthMm = dot(away, normalOf(tile))
  // The two directions may be oblique to each other, so both are solved for together.
  const [rr, rd, dd] = [dot(tile.right, tile.right), dot(tile.right, tile.down), dot(tile.down, tile.down)]
  const [r, d] = [dot(away, tile.right), dot(away, tile.down)]
  const determinant = rr * dd - rd * rd
  return { x: (r * dd - d * rd) / determinant, y: (d * rr - r * rd) / determinant, depthMm }
}

/**
 * Row of the landmark that a pixel of a slice hits, or null.
 *
 * @param points positions of the landmarks, LPS mm; null if absent
 * @param radius largest distance on the screen, in pixels
 * @param slabMm largest distance from the slice
 * @param preferred row that wins if it is hit at all
 */
export function hitRow(
  tile: Tile,
  points: readonly (Position | null)[],
  x: number,
  y: number,
  limits: { readonly radius: number; readonly slabMm: number },
  preferred: number | null,
): number | null {
  let best: number | null = null
  let bestDistance = limits.radius
  points.forEach((point, row) => {
    if (point === null) return
    const place = placeOf(tile, point)
    const distance = Math.hypot(place.x - x, place.y - y)
    const isShown = tile.kind === '3d' || Math.abs(place.depthMm) <= limits.slabMm
    if (!isShown || distance > limits.radius) return
    const wins = row === preferred || (distance <= bestDistance && best !== preferred)
    if (best === null || wins) [best, bestDistance] = [row, distance]
  })
  return best
}

/** Distance of two points in mm. */
export function distanceMm(one: Position, other: Position): number {
  return Math.hypot(...subtract(one, other))
}

export function add(one: Position, other: Position): Position {
  return [one[0] + other[0], one[1] + other[1], one[2] + other[2]]
}

function normalOf({ right: [a, b, c], down: [d, e, f] }: Tile): Position {
  const cross: Position = [b * f - c * e, c * d - a * f, a * e - b * d]
  return scale(cross, 1 / Math.hypot(...cross))
}

function subtract(one: Position, other: Position): Position {
  return [one[0] - other[0], one[1] - other[1], one[2] - other[2]]
}

function scale(point: Position, factor: number): Position {
  return [point[0] * factor, point[1] * factor, point[2] * factor]
}

function dot(one: Position, other: Position): number {
  return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
}
