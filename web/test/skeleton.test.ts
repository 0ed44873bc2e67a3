import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Landmark } from '../src/data.ts'
import { centerOf, EDGE_VALUES, flipFrame, graphOf, nearestLandmark } from '../src/skeleton.ts'

const landmarks: Landmark[] = [
  { name: 'neck', side: 'midline', position_mm: [10, 20, 30], confidence: 0.5 },
  { name: 'left_wrist', side: 'left', position_mm: null, confidence: 0 },
  { name: 'right_wrist', side: 'right', position_mm: [14, 20, 30], confidence: 1 },
]
const segments = [
  { start: 0, end: 1, side: 'left' },
  { start: 0, end: 2, side: 'right' },
] as const

test('an absent landmark takes its segments with it, and the others keep their partners', () => {
  const { nodes, edges } = graphOf(landmarks, segments, null)
  assert.deepEqual(nodes.map(({ x, y, z }) => [x, y, z]), [[-10, -20, 30], [-14, -20, 30]])
  assert.deepEqual(edges, [{ first: 0, second: 1, colorValue: EDGE_VALUES.right }])
})

test('only the selected landmark is larger', () => {
  const { nodes } = graphOf(landmarks, segments, 2)
  assert.deepEqual(nodes.map((node) => node.sizeValue > 1), [false, true])
})

test('turning the frame twice changes nothing', () => {
  assert.deepEqual(flipFrame(flipFrame([1, -2, 3])), [1, -2, 3])
})

test('the nearest landmark is found within the limit only', () => {
  assert.equal(nearestLandmark(landmarks, [13, 20, 30], 4), 2)
  assert.equal(nearestLandmark(landmarks, [11, 20, 30], 4), 0)
  assert.equal(nearestLandmark(landmarks, [24, 20, 30], 4), null)
})

test('the centre is the mean of what is present', () => {
  assert.deepEqual(centerOf(landmarks), [12, 20, 30])
  assert.equal(centerOf([landmarks[1] as Landmark]), null)
})
