/** What the application says: states, reviews and actions in plain words. */

import type { CaseDetail, CaseState, Mark, Review } from './api.ts'
import { distanceMm } from './tiles.ts'

export const STATE_WORDS: Readonly<Record<CaseState, string>> = {
  todo: 'to do',
  done: 'done',
  problem: 'problem',
  new: 'not predicted',
  failed: 'failed',
}

export const REVIEW_WORDS: Readonly<Record<Review, string>> = {
  machine: 'predicted',
  accepted: 'accepted',
  moved: 'moved',
  placed: 'placed',
  absent: 'marked absent',
}

/** A sign for a review that needs no colour. */
export const REVIEW_SIGNS: Readonly<Record<Review, string>> = {
  machine: '',
  accepted: '✓',
  moved: '↔',
  placed: '+',
  absent: '∅',
}

const ACTION_WORDS: Readonly<Record<string, string>> = {
  move: 'move',
  absent: 'not in the volume',
  outside: 'outside',
  accept: 'accept',
  accept_case: 'accept the case',
  exchange: 'exchange left and right',
  reset: 'as predicted',
  ask: 'others follow',
  import: 'import from Slicer',
  problem: 'problem',
  reopen: 'to do again',
}

export function actionWords(action: string): string {
  return ACTION_WORDS[action] ?? action
}

export function plainName(landmark: string): string {
  return landmark.replaceAll('_', ' ')
}

/** "accepted", "moved 4.2 mm", "follows 1.3 mm", "not found". */
export function reviewWords(mark: Mark, predicted: Mark): string {
  if (mark.position === null) return mark.review === 'absent' ? 'absent' : 'not found'
  const words = REVIEW_WORDS[mark.review]
  if (predicted.position === null) return words
  const movedMm = distanceMm(mark.position, predicted.position)
  const how = mark.review === 'machine' ? 'follows' : words
  return movedMm >= 0.05 ? `${how} ${movedMm.toFixed(1)} mm` : words
}

/** Everything that a person should know before they trust a case. */
export function doubts(detail: CaseDetail): string[] {
  const { history } = detail
  const changed = history.prediction_changed
    ? ['The case was predicted again after some of its corrections.']
    : []
  return [...detail.reasons, ...detail.warnings, ...history.disagreements, ...changed]
}

/** "3 of 22 landmarks reviewed". */
export function reviewedWords(marks: readonly Mark[]): string {
  const reviewed = marks.filter((mark) => mark.review !== 'machine').length
  return `${reviewed} of ${marks.length} landmarks reviewed`
}
