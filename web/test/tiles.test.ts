import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hitRow, placeOf, pointAt, projectionTile, sliceTile, tileAt } from '../src/app/tiles.ts'
import type { Position } from '../src/data.ts'

/** A coronal slice at y = 7 mm: 2 pixels per mm, patient left on the right of the screen. */
const coronal = sliceTile([100, 50, 200, 120], (x, y) => [(x - 100) / 2, 7, 60 - (y - 50) / 2])

const near = (one: readonly number[], other: readonly number[]) =>
  one.forEach((value, axis) => assert.ok(Math.abs(value - (other[axis] ?? NaN)) < 1e-9, `${one} ${other}`))

test('a pixel of a slice shows the point that the viewer says, and back', () => {
  near(pointAt(coronal, { x: 120, y: 90, depthMm: 0 }), [10, 7, 40])
  const { x, y, depthMm } = placeOf(coronal, [10, 9.5, 40])
  near([x, y, Math.abs(depthMm)], [120, 90, 2.5])
})

test('a drag moves a landmark in the plane only: its depth stays', () => {
  const place = placeOf(coronal, [10, 9.5, 40])
  near(pointAt(coronal, { ...place, x: place.x + 8, y: place.y - 4 }), [14, 9.5, 42])
})

test('oblique slices map back and forth, too', () => {
  const oblique = sliceTile([0, 0, 100, 100], (x, y) => [x + 0.2 * y, 0.5 * y - 0.1 * x, 0.3 * x + y])
  const point = pointAt(oblique, { x: 31, y: 17, depthMm: -3 })
  const place = placeOf(oblique, point)
  near([place.x, place.y, place.depthMm], [31, 17, -3])
})

test('a parallel projection is a tile without a near and a far end', () => {
  const [c, s] = [Math.cos(0.7), Math.sin(0.7)]
  const pixelOf = ([x, y, z]: Position): [number, number] => [50 + 3 * (c * x + s * y), 80 - 3 * z]
  const view = projectionTile([0, 0, 300, 300], pixelOf)
  const point: Position = [4, -9, 12]
  const { x, y, depthMm } = placeOf(view, point)
  near([x, y], pixelOf(point))
  near(pointAt(view, { x, y, depthMm }), point)
  near(pixelOf(pointAt(view, { x: x + 6, y: y + 3, depthMm })), [x + 6, y + 3])
  assert.equal(hitRow(view, [[0, 0, 0], point], x + 1, y, { radius: 5, slabMm: 1 }, null), 1)
})

test('a landmark is hit near its place and near its slice only', () => {
  const points: (Position | null)[] = [[10, 7, 40], null, [10, 12, 40], [13, 7, 40]]
  const limits = { radius: 12, slabMm: 4 }
  assert.equal(hitRow(coronal, points, 121, 91, limits, null), 0)
  assert.equal(hitRow(coronal, points, 125, 90, limits, null), 3)
  assert.equal(hitRow(coronal, points, 125, 90, limits, 0), 0) // the selected one wins
  assert.equal(hitRow(coronal, points, 160, 90, limits, 0), null)
  assert.equal(hitRow(coronal, [points[2] ?? null], 120, 90, limits, null), null)
})

test('a pixel belongs to the tile that it lies in', () => {
  assert.equal(tileAt([coronal], 100, 50), coronal)
  assert.equal(tileAt([coronal], 99, 60), null)
})
