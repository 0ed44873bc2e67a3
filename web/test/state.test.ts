import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CaseDetail, CaseItem, Mark, Review } from '../src/app/api.ts'
import { commandOf, KEYS } from '../src/app/keys.ts'
import { caseInFragment, drawnPose, fragmentOf, isSame, nextCase, nextDoubtful, nextRow, nudged, progressOf, withPosition } from '../src/app/state.ts'
import { doubts, reviewWords } from '../src/app/words.ts'

const mark = (name: string, confidence: number, review: Review = 'machine', x: number | null = 0): Mark => ({
  name, confidence, review, position: x === null ? null : [x, 0, 0],
})
const pose = [mark('neck', 0.9), mark('left_wrist', 0.3), mark('right_wrist', 0, 'machine', null)]
const detail = {
  name: 'scan', volume_key: '1', error: '', reasons: ['left and right are uncertain'], warnings: ['no spacing'],
  skeleton: {
    landmarks: [
      { name: 'neck', side: 'midline' }, { name: 'left_wrist', side: 'left' }, { name: 'right_wrist', side: 'right' },
    ],
    segments: [{ start: 'left_wrist', end: 'neck', side: 'left' }],
  },
  prediction: pose, pose,
  history: { entries: [{ id: 'a' }], disagreements: [], prediction_changed: true },
} as unknown as CaseDetail

test('the drawn pose has the sides of the skeleton, and segments by rows', () => {
  const { landmarks, segments } = drawnPose(detail, pose)
  assert.deepEqual(landmarks.map(({ side }) => side), ['midline', 'left', 'right'])
  assert.deepEqual(segments, [{ start: 1, end: 0, side: 'left' }])
})

test('missing landmarks are the most doubtful, then those of low confidence', () => {
  assert.equal(nextDoubtful(pose, null), 2)
  assert.equal(nextDoubtful(pose, 2), 1)
  assert.equal(nextDoubtful(pose.map((one) => ({ ...one, review: 'accepted' })), null), null)
})

test('rows follow each other in a circle', () => {
  assert.deepEqual([nextRow(null, 1, 3), nextRow(null, -1, 3), nextRow(2, 1, 3), nextRow(0, -1, 3)], [0, 2, 0, 2])
})

test('the next case is the next one that is to do, and else the first', () => {
  const items = ['a done', 'b todo', 'c problem', 'd todo'].map((text) => {
    const [name, state] = text.split(' ')
    return { name, state } as CaseItem
  })
  assert.deepEqual(['a', 'b', 'd', '', 'z'].map((name) => nextCase(items, name)), ['b', 'd', 'b', 'b', 'b'])
  assert.equal(nextCase(items.slice(1, 2), 'b'), null)
  assert.deepEqual(progressOf({ todo: 2, done: 1, problem: 1, new: 5, failed: 0 }), { finished: 2, total: 4 })
})

test('a draft moves one landmark and leaves the others', () => {
  const moved = withPosition(pose, 1, [4, 3, 0])
  assert.deepEqual(moved.map((one) => one.position), [[0, 0, 0], [4, 3, 0], null])
  assert.equal(reviewWords({ ...moved[1]!, review: 'moved' }, pose[1]!), 'moved 5.0 mm')
  assert.equal(reviewWords(moved[1]!, pose[1]!), 'follows 5.0 mm')
  assert.equal(reviewWords(pose[2]!, pose[2]!), 'not found')
})

test('another correction or another prediction makes a case a different one', () => {
  assert.ok(isSame(detail, structuredClone(detail)))
  const more = { ...detail, history: { ...detail.history, entries: [...detail.history.entries, { id: 'b' }] } }
  assert.ok(!isSame(detail, more as CaseDetail))
  assert.ok(!isSame(detail, { ...detail, prediction: withPosition(pose, 0, [1, 0, 0]) }))
  assert.ok(!isSame(detail, { ...detail, prediction: withPosition(pose, 2, [1, 0, 0]) }))
})

test('every reason to doubt is told', () => {
  assert.deepEqual(doubts(detail), [
    'left and right are uncertain', 'no spacing', 'The case was predicted again after some of its corrections.',
  ])
})

test('a key means one thing, with Caps Lock as without', () => {
  const all = KEYS.flatMap(({ keys }) => keys)
  assert.equal(new Set(all).size, all.length)
  const press = (key: string, held: object = {}) =>
    commandOf({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held })
  assert.deepEqual([press('x'), press('X'), press('X', { shiftKey: true })], ['limb', 'limb', 'body'])
  assert.deepEqual([press('z', { ctrlKey: true }), press('Z', { metaKey: true, shiftKey: true })], ['undo', 'redo'])
  assert.deepEqual([press('a', { ctrlKey: true }), press('a', { altKey: true }), press('q')], [null, null, null])
})

test('arrows move a landmark as they point in a transverse slice', () => {
  assert.deepEqual(nudged([0, 0, 0], 'ArrowLeft', 1), [1, 0, 0]) // the patient's left is on the left
  assert.deepEqual(nudged([0, 0, 0], 'PageDown', 2), [0, 0, -2])
  assert.equal(nudged([0, 0, 0], 'a', 1), null)
})

test('an address names a case, whatever its name is', () => {
  for (const name of ['scan 1', 'a#b=c&d', '<b>é%']) assert.equal(caseInFragment(fragmentOf(name)), name)
  assert.deepEqual([caseInFragment('#case=%E0%A4%A'), caseInFragment('#other'), caseInFragment('')], [null, null, null])
})
